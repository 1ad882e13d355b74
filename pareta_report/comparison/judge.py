"""Judge an eval run: which model is better, by how much, at what cost, and what the sample cannot tell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from pareta_report.comparison import tradeoff
from pareta_report.comparison.candidates import Candidate, candidates, membership, reservations
from pareta_report.comparison.cost import said
from pareta_report.comparison.pairs import against, best_against_rest
from pareta_report.comparison.recommendation import recommended
from pareta_report.comparison.results import MARGIN, Comparison, Difference, ModelScore
from pareta_report.comparison.verdicts import no_verdict, verdict_of
from pareta_report.render import listing, with_details

if TYPE_CHECKING:
    from pareta_client import EvalRun


@dataclass(frozen=True)
class ComparisonContext:
    """What is known of a comparison beside the run itself.

    `rows` are the eval rows in their order. `groups` names by place which of them belong together (pages of one
    document). `slices` is a column by which results are shown in parts, and its value by place. `margin` is how much
    worse than the baseline counts as good (0.02 is two points), `score_range` the scale of the scores where it is not 0
    to 1. `estimates` are micro-USD per model by listed prices, None where unknown. `reused` names the earlier run that
    paid for a baseline.
    """

    rows: Sequence[Mapping[str, object]] | None = None
    groups: Mapping[int, str] | None = None
    slices: tuple[str, Mapping[int, str]] | None = None
    estimates: Mapping[str, float | None] = field(default_factory=dict)
    reused: Mapping[str, str] = field(default_factory=dict)
    started_at: datetime | None = None
    margin: float = MARGIN
    score_range: tuple[float, float] | None = None


NOTHING_KNOWN = ComparisonContext()


def judge(name: str, task: str | None, run: "EvalRun", known: ComparisonContext = NOTHING_KNOWN) -> Comparison:
    """Compare the models of a finished eval run.

    With complete per-row scores the best model is compared with every other row by row; without, by the published
    intervals. Rows that belong together count as one sample, and so do rows with the same input. A run that did not
    complete gives a failed comparison with the scores it has and no verdict.
    """
    groups = known.groups or _repeated(known.rows)
    found = candidates(run, groups, known.score_range)
    baseline = tradeoff.baseline_of(found)
    completed = run.status == "completed"
    error = None if completed else run.error_detail or f"the eval run is {run.status!r}, not completed"
    pairs = best_against_rest(found, groups) if completed else ()
    to_baseline = against(baseline, found, groups) if completed else ()
    recommendation = recommended(found, baseline, to_baseline, groups, known.margin)
    comparison = Comparison(
        name=name,
        task=task,
        eval_set_id=run.eval_set_id,
        run_id=run.id,
        started_at=known.started_at,
        status="completed" if completed else "failed",
        error=error,
        scores=tuple(_score(candidate, found, baseline, known) for candidate in found),
        total_cost_micro_usd=run.cost_micro_usd or None,  # the client gives 0 where the service does not tell
        verdict=no_verdict(error) if error else verdict_of(found, pairs, recommendation, known.margin),
        baseline=baseline and baseline.model,
        margin=known.margin,
        groups=_number_of_groups(found, groups),
        recommendation=recommendation,
        differences=pairs,
        against_baseline=to_baseline,
        notes=(*reservations(found), *_restrictions(pairs), *_reused(known.reused)),
    )
    return with_details(comparison, run, found, known.rows, groups, known.slices) if completed else comparison


def failed_comparison(name: str, task: str | None, error: BaseException, run_id: str | None = None) -> Comparison:
    """Return a comparison that could not be made, with the error that kept it from being made."""
    said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return Comparison(name=name, task=task, run_id=run_id, status="failed", error=said, verdict=no_verdict(said))


def _score(
    candidate: Candidate, found: Sequence[Candidate], baseline: Candidate | None, known: ComparisonContext
) -> ModelScore:
    dominated_by = tradeoff.dominator(candidate, found)
    reused_from = known.reused.get(candidate.model)
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
        estimated_micro_usd=known.estimates.get(candidate.model),
        billed_micro_usd=0.0 if reused_from else _billed(candidate),
        reused_from=reused_from,
    )


def _shares(candidate: Candidate) -> dict[str, float | None]:
    """Return the shares of the rows asked that are right, wrong and without an answer; graded scores count by part."""
    if not candidate.items or candidate.quality is None:
        return {}
    return {
        "right": candidate.quality,
        "wrong": max(0.0, 1 - candidate.quality - candidate.no_answer),
        "no_answer": candidate.no_answer,
        "answered_quality": candidate.answered_quality,
    }


def _repeated(rows: Sequence[Mapping[str, object]] | None) -> Mapping[int, str] | None:
    """Return groups of the rows with the same input, if any stands twice: they are one question, asked again."""
    asked = [
        said(row.get("input")) if row.get("input") is not None else f"row {place}"
        for place, row in enumerate(rows or ())
    ]
    return dict(enumerate(asked)) if len(set(asked)) < len(asked) else None


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
    said = listing([f"{model} (from {run_id})" for model, run_id in reused.items()])
    return (f"Scored before on the same rows, and not bought again: {said}.",)


def _restrictions(pairs: Sequence[Difference]) -> tuple[str, ...]:
    if all(pair.method == "paired" for pair in pairs):
        return ()
    return ("Without complete per-row scores two models count as different only if their intervals do not overlap.",)
