"""Quotes of the flows that join several pieces: what each will spend, in micro-USD, as far as it is known."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, computed_field

from pareta_batch import Quote, dollars, estimate
from pareta_evals import ComparisonsQuote

NOT_KNOWN = "not known"


class PipelineQuote(BaseModel):
    """What a pipeline will spend on its batch and its comparisons.

    `endpoint` is the one that answers already; None is one that is deployed first. `model` is what it then serves.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    model: str
    endpoint: str | None
    deploys: bool
    batch: Quote
    comparisons: ComparisonsQuote | None

    @computed_field  # type: ignore[prop-decorator]  # as pydantic asks for
    @property
    def low_micro_usd(self) -> int | None:
        """The lower end; None where the batch's is not known."""
        return _sum(self.batch.low_micro_usd, self.comparisons.low_micro_usd if self.comparisons else 0)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def likely_micro_usd(self) -> int | None:
        """The likely sum; None where the batch's is not known."""
        return _sum(self.batch.likely_micro_usd, self.comparisons.likely_micro_usd if self.comparisons else 0)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def high_micro_usd(self) -> int | None:
        """The upper end; None where the batch's is not known."""
        return _sum(self.batch.high_micro_usd, self.comparisons.high_micro_usd if self.comparisons else 0)

    def __str__(self) -> str:
        there = f"endpoint {self.endpoint} is there" if self.endpoint else "an endpoint will be deployed"
        served = [f"{self.name}: {there}, with {self.model}"] if self.deploys else []
        compared = [str(self.comparisons)] if self.comparisons else []
        smoke = ", and a smoke call" if self.deploys else ""
        return "\n".join([*served, str(self.batch), *compared, f"{self.name} in all: {self._total()}{smoke}"])

    def _total(self) -> str:
        if self.likely_micro_usd is None or self.low_micro_usd is None or self.high_micro_usd is None:
            return NOT_KNOWN
        return estimate(self.low_micro_usd, self.likely_micro_usd, self.high_micro_usd)


class PromotionQuote(BaseModel):
    """What a promotion will spend on its comparison, and what a request to each candidate costs once it serves."""

    model_config = ConfigDict(frozen=True)

    name: str
    comparison: ComparisonsQuote
    request_micro_usd: Mapping[str, float | None]

    def __str__(self) -> str:
        costs = ", ".join(f"{model} {_per_thousand(cost)}" for model, cost in self.request_micro_usd.items())
        return (
            f"{self.comparison}\n{self.name}: what passes is deployed and asked one smoke call; "
            f"1,000 requests to it then cost: {costs}"
        )


class WatchQuote(BaseModel):
    """What one occasion of a watch will spend: nothing is reused, every model is scored anew."""

    model_config = ConfigDict(frozen=True)

    name: str
    occasion: ComparisonsQuote

    def __str__(self) -> str:
        return f"{self.occasion}\n{self.name}: as much every time it runs"


AnyQuote = Quote | ComparisonsQuote | PromotionQuote | WatchQuote | PipelineQuote


def _sum(batch: int | None, comparisons: int) -> int | None:
    return None if batch is None else batch + comparisons


def _per_thousand(micro_usd: float | None) -> str:
    return NOT_KNOWN if micro_usd is None else dollars(1000 * micro_usd)
