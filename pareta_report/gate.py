"""The gate before a rollout: which open model may take over, by a policy on quality, cost and sample."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from pareta_report.records import Comparison, Difference, ModelScore
from pareta_report.significance import ALPHA
from pareta_report.wording import count, listing, percent, points, unit_cost


class Policy(BaseModel):
    """What a model must show before it is deployed."""

    model_config = ConfigDict(title="Policy", extra="forbid", frozen=True, allow_inf_nan=False)

    max_loss: float = Field(
        0.02,
        ge=0,
        le=1,
        title="Most quality lost",
        description="How much worse than the baseline it may be, as a share (0.02 is two points), with 95 % confidence",
    )
    max_cost_micro_usd: float | None = Field(
        None, gt=0, title="Highest cost", description="Mean cost of a request in micro-USD"
    )
    min_rows: int = Field(100, ge=1, title="Fewest rows", description="Rows that both were scored on")
    prefer: Literal["cost", "quality"] = Field(
        "cost", title="Prefer", description="Among the models that pass: the cheapest, or the one that scored highest"
    )

    @field_validator("max_loss", "max_cost_micro_usd", "min_rows", mode="before")
    @classmethod
    def numbers_are_not_true_or_false(cls, value: object) -> object:
        # Python takes True for 1.
        if value is True or value is False:
            raise ValueError(f"{str(value).lower()} is no number; write a number")
        return value


class Refusal(BaseModel):
    """Why one model may not take over."""

    model_config = ConfigDict(frozen=True)

    model: str
    reasons: tuple[str, ...]


class Decision(BaseModel):
    """Which model passed, if any, and why each of the others did not."""

    model_config = ConfigDict(frozen=True)

    model: str | None
    sentence: str
    refused: tuple[Refusal, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether there is a model to deploy."""
        return self.model is not None


def decide(comparison: Comparison, policy: Policy) -> Decision:
    """Apply a policy to a comparison; without a baseline, or without data, nothing passes."""
    if comparison.status != "completed":
        return Decision(model=None, sentence=f"Nothing passes: {comparison.error}")
    if comparison.baseline is None:
        return Decision(model=None, sentence="Nothing passes: the comparison has no baseline to be no worse than.")
    against = {difference.model: difference for difference in comparison.against_baseline}
    open_models = [score for score in comparison.scores if score.kind == "open" and score.model != comparison.baseline]
    worst = {score.model: _worst(against.get(score.model), len(open_models)) for score in open_models}
    refusals = [
        Refusal(model=score.model, reasons=_reasons(score, against.get(score.model), worst[score.model], policy))
        for score in open_models
    ]
    passing = [score for score, refusal in zip(open_models, refusals, strict=True) if not refusal.reasons]
    refused = tuple(refusal for refusal in refusals if refusal.reasons)
    if not passing:
        said = "; ".join(f"{refusal.model}: {listing(list(refusal.reasons))}" for refusal in refused)
        return Decision(
            model=None, sentence=f"Nothing passes. {said or 'No open model was compared'}.", refused=refused
        )
    chosen = min(passing, key=lambda score: _rank(score, policy))
    return Decision(
        model=chosen.model,
        sentence=_said(chosen, against[chosen.model], worst[chosen.model], comparison),
        refused=refused,
    )


def _worst(difference: Difference | None, candidates: int) -> float | None:
    """Bound from below how a model differs from the baseline, whichever of the candidates is chosen.

    Each of them had a chance to pass by luck, so the interval's half is widened to 1 - 0.05 / (2 × candidates)
    (Bonferroni; by the normal quantiles, also where the interval is a bootstrap's).
    """
    from scipy.stats import norm

    if difference is None or difference.ci_low is None:
        return None
    wider = float(norm.ppf(1 - ALPHA / 2 / candidates) / norm.ppf(1 - ALPHA / 2))
    return difference.difference - wider * (difference.difference - difference.ci_low)


def _reasons(score: ModelScore, difference: Difference | None, worst: float | None, policy: Policy) -> tuple[str, ...]:
    if difference is None or worst is None:
        return ("it could not be compared with the baseline",)
    reasons = []
    if (difference.n or 0) < policy.min_rows:
        reasons.append(f"{count(difference.n or 0, 'row')} are fewer than the {policy.min_rows:,} asked for")
    if worst < -policy.max_loss:
        allowed = points(policy.max_loss)
        reasons.append(f"it may be up to {points(-worst)} points worse than the baseline ({allowed} allowed)")
    if policy.max_cost_micro_usd is not None and not _affordable(score, policy.max_cost_micro_usd):
        most = unit_cost(policy.max_cost_micro_usd)
        reasons.append(f"{unit_cost(score.mean_cost_micro_usd)} per 1,000 requests is more than {most}")
    return tuple(reasons)


def _affordable(score: ModelScore, most: float) -> bool:
    return score.mean_cost_micro_usd is not None and score.mean_cost_micro_usd <= most


def _rank(score: ModelScore, policy: Policy) -> tuple[float, float, str]:
    cost = float("inf") if score.mean_cost_micro_usd is None else score.mean_cost_micro_usd
    worse = -(score.quality or 0.0)
    return (cost, worse, score.model) if policy.prefer == "cost" else (worse, cost, score.model)


def _said(chosen: ModelScore, difference: Difference, worst: float | None, comparison: Comparison) -> str:
    saved = f" and saves {percent(chosen.saving)} of its cost" if chosen.saving else ""
    lost = max(0.0, -(worst or 0.0))
    return (
        f"{chosen.model} passes: at most {points(lost)} points worse than {comparison.baseline} with 95 % confidence"
        f" on {count(difference.n or 0, 'row')}{saved}."
    )
