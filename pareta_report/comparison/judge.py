"""The judgement of an eval run: models by quality and cost, tests of their differences, and the verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from pareta_report.comparison import tradeoff
from pareta_report.comparison.candidates import candidates, membership, reservations
from pareta_report.comparison.cost import value_text
from pareta_report.comparison.pairs import against, best_against_rest
from pareta_report.comparison.recommendation import recommended
from pareta_report.comparison.results import MARGIN, Comparison, Difference, ModelScore
from pareta_report.comparison.valid_results import Candidate
from pareta_report.comparison.verdicts import no_verdict, verdict_of
from pareta_report.render import listing, with_details

if TYPE_CHECKING:
    from pareta_client import EvalRun


@dataclass(frozen=True)
class ComparisonContext:
    """Facts of a comparison that are not in its eval run.

    Args:
        rows: Eval rows, in order.
        groups: Group of each row by index (for example the document of a page).
        slices: Slice column, and its value by row index.
        estimates: Expected cost by model in micro-USD, from listed prices; None if unknown.
        reused: Id of the earlier run that paid for a baseline, by model.
        margin: Loss of quality up to which a model is as good as the baseline (0.02 is two points).
        score_range: Scale of the scores; 0 to 1 by default.
    """

    rows: Sequence[Mapping[str, object]] | None = None
    groups: Mapping[int, str] | None = None
    slices: tuple[str, Mapping[int, str]] | None = None
    estimates: Mapping[str, float | None] = field(default_factory=dict)
    reused: Mapping[str, str] = field(default_factory=dict)
    started_at: datetime | None = None
    margin: float = MARGIN
    score_range: tuple[float, float] | None = None


NO_CONTEXT = ComparisonContext()


def judge(name: str, task: str | None, run: "EvalRun", context: ComparisonContext = NO_CONTEXT) -> Comparison:
    """Compare the models of a finished eval run.

    The best model is compared with every other one by paired rows, or by published intervals without complete per-row
    scores. A group of rows is one sample; so are rows with the same input. A run that did not complete results in a
    failed comparison with the scores it has and no verdict.
    """
    groups = context.groups or _repeated(context.rows)
    found = candidates(run, groups, context.score_range)
    baseline = tradeoff.baseline_of(found)
    completed = run.status == "completed"
    error = None if completed else run.error_detail or f"the eval run is {run.status!r}, not completed"
    pairs = best_against_rest(found, groups) if completed else ()
    to_baseline = against(baseline, found, groups) if completed else ()
    recommendation = recommended(found, baseline, to_baseline, groups, context.margin)
    comparison = Comparison(
        name=name,
        task=task,
        eval_set_id=run.eval_set_id,
        run_id=run.id,
        started_at=context.started_at,
        status="completed" if completed else "failed",
        error=error,
        scores=tuple(_score(candidate, found, baseline, context) for candidate in found),
        total_cost_micro_usd=run.cost_micro_usd or None,  # 0 in the client if unknown
        verdict=no_verdict(error) if error else verdict_of(found, pairs, recommendation, context.margin),
        baseline=baseline and baseline.model,
        margin=context.margin,
        groups=_number_of_groups(found, groups),
        recommendation=recommendation,
        differences=pairs,
        against_baseline=to_baseline,
        notes=(*reservations(found), *_restrictions(pairs), *_reused(context.reused)),
    )
    return with_details(comparison, run, found, context.rows, groups, context.slices) if completed else comparison


def failed_comparison(name: str, task: str | None, error: BaseException, run_id: str | None = None) -> Comparison:
    """Return a failed comparison with its error."""
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return Comparison(name=name, task=task, run_id=run_id, status="failed", error=text, verdict=no_verdict(text))


def _score(
    candidate: Candidate, found: Sequence[Candidate], baseline: Candidate | None, context: ComparisonContext
) -> ModelScore:
    dominated_by = tradeoff.dominator(candidate, found)
    reused_from = context.reused.get(candidate.model)
    comparable = candidate.quality is not None and candidate.mean_cost is not None
    return ModelScore(
        model=candidate.model,
        kind=candidate.kind,
        quality=candidate.quality,
        ci_low=candidate.low,
        ci_high=candidate.high,
        mean_cost_micro_usd=candidate.mean_cost,
        cost_low_micro_usd=candidate.cost_low,
        cost_high_micro_usd=candidate.cost_high,
        n=candidate.n,
        errors=candidate.errors,
        **_shares(candidate),
        on_pareto_front=comparable and dominated_by is None,
        dominated_by=dominated_by,
        saving=tradeoff.saving(candidate, baseline),
        published_quality=candidate.published,
        estimated_micro_usd=context.estimates.get(candidate.model),
        billed_micro_usd=0.0 if reused_from else _billed(candidate),
        reused_from=reused_from,
    )


def _shares(candidate: Candidate) -> dict[str, float | None]:
    """Return the shares of rows that are right, wrong and without an answer; a graded score is the share right."""
    if not candidate.items or candidate.quality is None:
        return {}
    return {
        "right": candidate.quality,
        "wrong": max(0.0, 1 - candidate.quality - candidate.no_answer),
        "no_answer": candidate.no_answer,
        "answered_quality": candidate.answered_quality,
    }


def _repeated(rows: Sequence[Mapping[str, object]] | None) -> Mapping[int, str] | None:
    """Return the rows grouped by input if any input is repeated; None without repetition."""
    inputs = [
        value_text(row.get("input")) if row.get("input") is not None else f"row {index}"
        for index, row in enumerate(rows or ())
    ]
    return dict(enumerate(inputs)) if len(set(inputs)) < len(inputs) else None


def _number_of_groups(found: Sequence[Candidate], groups: Mapping[int, str] | None) -> int | None:
    rows = next((list(candidate.items) for candidate in found if candidate.items), [])
    return len(set(membership(groups, rows) or ())) if groups else None


def _billed(candidate: Candidate) -> float | None:
    if candidate.mean_cost is None or candidate.n is None:
        return None
    return candidate.mean_cost * candidate.n


def _reused(reused: Mapping[str, str]) -> tuple[str, ...]:
    if not reused:
        return ()
    models = listing([f"{model} (from {run_id})" for model, run_id in reused.items()])
    return (f"Reused from earlier runs on the same rows: {models}.",)


def _restrictions(pairs: Sequence[Difference]) -> tuple[str, ...]:
    if all(pair.method == "paired" for pair in pairs):
        return ()
    return ("Without complete per-row scores, two models count as different only if their intervals do not overlap.",)
