"""The candidates of an eval run, each on all rows requested, and notes on excluded values."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from pareta_batch import quantity
from pareta_report.comparison.cost import of_result
from pareta_report.comparison.valid_results import NO_RESULT, Candidate, rows_asked, valid_results
from pareta_report.render import listing, percent
from pareta_report.stats import intervals

if TYPE_CHECKING:
    from pareta_client import EvalResult, EvalRun


def candidates(
    run: "EvalRun",
    groups: Mapping[int, str] | None = None,
    score_range: tuple[float, float] | None = None,
) -> tuple[Candidate, ...]:
    """Return the models of a run by quality, highest first; ties by cost, lowest first; models without a score last.

    Every model is compared on all rows requested: a row without a result is a row without an answer. `score_range` is
    the declared scale of the scores.
    """
    results = valid_results(run.results, score_range)
    rows = sorted(rows_asked(results))
    costs = {str(each.model_id or "unnamed"): _cost_interval(each, groups) for each in run.results}
    return tuple(sorted((_on_all_rows(result, rows, groups, costs[result.model]) for result in results), key=_rank))


def membership(groups: Mapping[int, str] | None, rows: Sequence[int]) -> list[str] | None:
    """Return the group of each row, or None without groups; a row without a group is a group of its own."""
    return [groups.get(row, f"row {row}\0") for row in rows] if groups else None


def reservations(found: Sequence[Candidate]) -> tuple[str, ...]:
    """Return notes on the limitations of the scores."""
    notes = [f"Excluded for {c.model}: {fault}." for c in found for fault in c.faults]
    if errored := [f"{c.model} ({quantity(c.errors, 'row')})" for c in found if c.items and c.errors]:
        notes.append(
            f"Rows without an answer: {listing(errored)}. They count as 0 in the quality;"
            " every verdict holds whether they count as right or as wrong."
        )
    if unclear := [f"{c.model} ({quantity(c.errors, 'row')})" for c in found if not c.items and c.errors]:
        notes.append(f"The published quality may exclude rows without an answer: {listing(unclear)}.")
    if other := [c for c in found if c.items and c.published is not None and _differs(c)]:
        figures = listing([f"{c.model} {percent(c.published)}" for c in other])
        notes.append(
            f"The service publishes other figures ({figures}): it uses another metric or excludes rows. "
            "This comparison uses the mean score per row."
        )
    if unscored := [c.model for c in found if c.quality is None]:
        notes.append(f"Not scored by the service: {listing(unscored)}.")
    return tuple(notes)


def _on_all_rows(
    result: Candidate, rows: Sequence[int], groups: Mapping[int, str] | None, cost: intervals.Interval | None
) -> Candidate:
    if not result.items:
        return result
    items = {row: result.items.get(row, NO_RESULT) for row in rows}
    scores = np.array([items[row].score for row in rows], dtype=np.float64)
    low, high = intervals.of_mean(scores, membership(groups, rows))
    answered = [item.score for item in items.values() if not item.errored]
    return replace(
        result,
        quality=float(scores.mean()),
        low=low,
        high=high,
        n=len(items),
        errors=len(items) - len(answered),
        cost_low=cost and cost.low,
        cost_high=cost and cost.high,
        answered_quality=float(np.mean(answered)) if answered else None,
        items=items,
    )


def _cost_interval(result: "EvalResult", groups: Mapping[int, str] | None) -> intervals.Interval | None:
    rows = [item.idx for item in result.per_item if not item.error and item.idx is not None]
    return of_result(result, membership(groups, rows))


def _rank(candidate: Candidate) -> tuple[bool, float, float, str]:
    cost = float("inf") if candidate.mean_cost is None else candidate.mean_cost
    return candidate.quality is None, -(candidate.quality or 0.0), cost, candidate.model


def _differs(candidate: Candidate) -> bool:
    # Services round to three digits: a difference of up to 0.001 is rounding.
    return abs((candidate.published or 0.0) - (candidate.quality or 0.0)) > 0.001
