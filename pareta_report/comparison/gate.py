"""The gate before a rollout: selects the open model that replaces the baseline, by a policy."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from pareta_batch import Frozen, Spec, quantity
from pareta_report.comparison.results import Comparison, ModelScore, Standing
from pareta_report.render import listing, percent, points, unit_cost

Fraction = Annotated[float, Field(ge=0, le=1)]

ROUNDING = 1e-9
"""Tolerance of a bound, for rounding. Raised: a bound may miss its requirement by more."""


class Policy(Spec):
    """Requirements of a comparison before a model is deployed."""

    model_config = ConfigDict(title="Policy")

    max_loss: float | None = Field(
        None,
        ge=0,
        le=1,
        title="Largest loss of quality",
        description="Largest loss of quality against the baseline, as a share (0.02 is two points), at 95 % confidence;"
        " by default the comparison's margin",
    )
    max_cost_micro_usd: float | None = Field(
        None, gt=0, title="Maximum cost", description="Maximum mean cost of a request, in micro-USD"
    )
    min_rows: int = Field(
        100, ge=1, title="Minimum rows", description="Minimum number of rows that both models answered"
    )
    min_groups: int = Field(
        20, ge=2, title="Minimum groups", description="Minimum number of groups of rows, with a group column"
    )
    min_quality: Fraction = Field(
        0.5,
        title="Minimum quality",
        description="Minimum of the lower end of the model's 95 % interval; rows without an answer count as wrong",
    )
    min_baseline_quality: Fraction = Field(
        0.5,
        title="Minimum quality of the baseline",
        description="Minimum of the lower end of its 95 % interval; below it no model passes",
    )
    max_errors: Fraction = Field(
        0.05,
        title="Maximum share of errors",
        description="Maximum share of rows without an answer, for the model and for the baseline",
    )
    prefer: Literal["cost", "quality"] = Field(
        "cost", title="Prefer", description="Choice among the models that pass: lowest cost or highest quality"
    )


class Refusal(Frozen):
    """The reasons why a model did not pass."""

    model: str
    reasons: tuple[str, ...]


class Decision(Frozen):
    """The model that passed, if any, and the reasons why the others did not."""

    model: str | None
    sentence: str
    refused: tuple[Refusal, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether a model passed."""
        return self.model is not None


def decide(comparison: Comparison, policy: Policy) -> Decision:
    """Apply a policy to a comparison; without a working baseline, or without data, no model passes."""
    if problem := _no_gate(comparison, policy):
        return Decision(model=None, sentence=f"Nothing passes: {problem}")
    standings = {standing.model: standing for standing in _standings(comparison)}
    open_models = [score for score in comparison.scores if score.kind == "open" and score.model != comparison.baseline]
    refusals = [
        Refusal(model=score.model, reasons=tuple(_reasons(score, standings.get(score.model), comparison, policy)))
        for score in open_models
    ]
    passing = [score for score, refusal in zip(open_models, refusals, strict=True) if not refusal.reasons]
    refused = tuple(refusal for refusal in refusals if refusal.reasons)
    if not passing:
        reasons = "; ".join(f"{refusal.model}: {listing(refusal.reasons)}" for refusal in refused)
        return Decision(
            model=None, sentence=f"Nothing passes. {reasons or 'No open model was compared'}.", refused=refused
        )
    chosen = min(passing, key=lambda score: _rank(score, policy))
    return Decision(
        model=chosen.model, sentence=_sentence(chosen, standings[chosen.model], comparison, policy), refused=refused
    )


def _no_gate(comparison: Comparison, policy: Policy) -> str | None:
    """Return the reason why no model can pass, or None."""
    if comparison.status != "completed":
        return str(comparison.error)
    baseline = next((score for score in comparison.scores if score.model == comparison.baseline), None)
    if baseline is None:
        return "the comparison has no baseline."
    unscored = [score.model for score in comparison.scores if score.kind == "frontier" and score.quality is None]
    if unscored:
        return (
            f"{listing(unscored)} was not scored and may be better than the baseline {baseline.model};"
            " run it again, or leave it out of the baselines."
        )
    if problem := _failing(baseline, policy.min_baseline_quality, policy.max_errors):
        return f"the baseline {baseline.model} does not work: {problem}."
    return None


def _failing(score: ModelScore, floor: float, max_errors: float) -> str | None:
    """Return the fault of a model: too many rows without an answer, or a quality below `floor`; None if it has none."""
    errors = (score.errors or 0) / score.n if score.n else 0.0
    if errors > max_errors:
        rows = quantity(score.errors or 0, "row")
        return f"{percent(errors)} of its rows have no answer ({percent(max_errors)} allowed); run the {rows} again"
    if score.ci_low is None:
        return "its quality has no interval"
    # Published means may exclude the rows without an answer.
    lowest = (score.ci_low or 0.0) * (1.0 if score.right is not None else 1 - errors)
    if lowest < floor - ROUNDING or lowest <= 0:
        return f"its quality may be as low as {percent(lowest)} ({percent(floor)} required)"
    return None


def _standings(comparison: Comparison) -> tuple[Standing, ...]:
    return comparison.recommendation.standings if comparison.recommendation else ()


def _reasons(score: ModelScore, standing: Standing | None, comparison: Comparison, policy: Policy) -> Iterator[str]:
    if standing is None or standing.lower is None:
        yield "it could not be compared with the baseline"
        return
    both = (standing.n or 0) - standing.rerun
    if both < policy.min_rows:
        yield f"{quantity(both, 'row')} are fewer than the {policy.min_rows:,} required"
    if standing.groups is not None and standing.groups < policy.min_groups:
        yield f"{quantity(standing.groups, 'group')} are fewer than the {policy.min_groups:,} required"
    if problem := _failing(score, policy.min_quality, policy.max_errors):
        yield problem
    allowed = _allowed(comparison, policy)
    if not _within(standing, comparison.margin, allowed):
        again = f"; run the {quantity(standing.rerun, 'row')} without an answer again" if standing.rerun else ""
        worst = points(max(0.0, -standing.lower))
        yield f"it may be up to {worst} points worse than the baseline ({points(allowed)} allowed){again}"
    limit, cost = policy.max_cost_micro_usd, score.mean_cost_micro_usd
    if limit is not None and (cost is None or cost > limit):
        yield f"{unit_cost(cost)} per 1,000 requests is more than {unit_cost(limit)}"


def _allowed(comparison: Comparison, policy: Policy) -> float:
    return comparison.margin if policy.max_loss is None else policy.max_loss


def _within(standing: Standing, margin: float, allowed: float) -> bool:
    """Return whether the loss of a model is within `allowed`, with confidence for all candidates together."""
    if standing.word == "as good" and margin <= allowed:
        return True
    return standing.lower is not None and standing.lower >= -allowed


def _rank(score: ModelScore, policy: Policy) -> tuple[float, float, str]:
    cost = float("inf") if score.mean_cost_micro_usd is None else score.mean_cost_micro_usd
    worse = -(score.quality or 0.0)
    return (cost, worse, score.model) if policy.prefer == "cost" else (worse, cost, score.model)


def _sentence(chosen: ModelScore, standing: Standing, comparison: Comparison, policy: Policy) -> str:
    saved = f" and saves {percent(chosen.saving)} of its cost" if chosen.saving else ""
    lost = max(0.0, -(standing.lower or 0.0))
    if standing.word == "as good" and comparison.margin <= _allowed(comparison, policy):
        lost = min(lost, comparison.margin)
    return (
        f"{chosen.model} passes: at most {points(lost)} points worse than {comparison.baseline} with 95 % confidence"
        f" on {quantity(standing.n or 0, 'row')}{saved}."
    )
