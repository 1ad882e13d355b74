"""Quotes of pipelines, promotions and watches, in micro-USD; None where a price is unknown."""

from collections.abc import Mapping

from pareta_batch import CostQuote, CostRange, Frozen, Quote, dollars
from pareta_evals import ComparisonsQuote

NOT_KNOWN = "not known"


class PipelineQuote(CostQuote):
    """Expected cost of a pipeline: its batch and its comparisons.

    `endpoint` is the id of the live endpoint, None if it is deployed first. `model` is the model that it serves.
    """

    name: str
    model: str
    endpoint: str | None
    deploys: bool
    batch: Quote
    comparisons: ComparisonsQuote | None

    def __str__(self) -> str:
        endpoint = f"endpoint {self.endpoint} is reused" if self.endpoint else "an endpoint will be deployed"
        served = [f"{self.name}: {endpoint}, with {self.model}"] if self.deploys else []
        compared = [str(self.comparisons)] if self.comparisons else []
        smoke = ", and a smoke call" if self.deploys else ""
        return "\n".join([*served, str(self.batch), *compared, f"{self.name} in all: {self.cost or NOT_KNOWN}{smoke}"])


class PromotionQuote(Frozen):
    """Expected cost of a promotion's comparison, and of a request to each candidate once it is deployed."""

    name: str
    comparison: ComparisonsQuote
    request_micro_usd: Mapping[str, float | None]

    def __str__(self) -> str:
        costs = ", ".join(f"{model} {_per_thousand(cost)}" for model, cost in self.request_micro_usd.items())
        return (
            f"{self.comparison}\n{self.name}: the model that passes is deployed and gets one smoke call; "
            f"1,000 requests to its endpoint cost: {costs}"
        )


class WatchQuote(Frozen):
    """Expected cost of one run of a watch, which reuses no scores."""

    name: str
    occasion: ComparisonsQuote

    def __str__(self) -> str:
        return f"{self.occasion}\n{self.name}: the same cost for each run"


AnyQuote = Quote | ComparisonsQuote | PromotionQuote | WatchQuote | PipelineQuote


def cost_in_all(batch: Quote, comparisons: ComparisonsQuote | None) -> CostRange | None:
    """Return the cost of a batch and its comparisons; None if the cost of the batch is unknown."""
    return batch.cost if batch.cost is None or comparisons is None else batch.cost + comparisons.cost


def _per_thousand(micro_usd: float | None) -> str:
    return NOT_KNOWN if micro_usd is None else dollars(1000 * micro_usd)
