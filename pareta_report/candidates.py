"""An eval run's results as candidates to compare: errored rows count as 0, and what was left out is noted."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

from pareta_report import intervals
from pareta_report.cost import of_mean_cost
from pareta_report.intervals import Scores
from pareta_report.records import ModelKind
from pareta_report.wording import count, listing, percent

if TYPE_CHECKING:
    from pareta_client.models.evals import EvalItemResult, EvalResult, EvalRun


@dataclass(frozen=True, slots=True)
class Item:
    """One row's score (0 when it errored), what the model said, and whether it errored."""

    score: float
    prediction: str | None
    errored: bool


@dataclass(frozen=True, slots=True)
class Candidate:
    """One model of a run. `items` is empty where the service gave no complete per-row scores."""

    model: str
    kind: ModelKind | None
    quality: float | None
    low: float | None
    high: float | None
    mean_cost: float | None
    n: int | None
    errors: int | None
    published: float | None
    cost_low: float | None = None
    cost_high: float | None = None
    items: Mapping[int, Item] = field(default_factory=dict)

    def scores(self, rows: Sequence[int]) -> Scores:
        """Return the scores of the given rows, in their order."""
        return np.array([self.items[row].score for row in rows], dtype=np.float64)


def candidates(
    run: "EvalRun", groups: Mapping[int, str] | None = None, read: Mapping[int, int] | None = None
) -> tuple[Candidate, ...]:
    """Return the run's models, the highest quality first, the cheaper first among equals, unscored ones last.

    `read` says how many characters each row's input has; the cost has an interval only with it.
    """
    return tuple(sorted((_candidate(result, groups, read or {}) for result in run.results), key=_rank))


def membership(groups: Mapping[int, str] | None, rows: Sequence[int]) -> list[str] | None:
    """Return the group of each row, or None when rows do not belong together."""
    return [groups[row] for row in rows] if groups else None


def reservations(found: Sequence[Candidate]) -> tuple[str, ...]:
    """Say what a reader must know before trusting the scores."""
    notes = []
    if errored := [f"{c.model} ({count(c.errors, 'row')})" for c in found if c.items and c.errors]:
        notes.append(f"Rows that errored count as wrong: {listing(errored)}.")
    if unclear := [f"{c.model} ({count(c.errors, 'row')})" for c in found if not c.items and c.errors]:
        notes.append(f"The published quality may leave out rows that errored: {listing(unclear)}.")
    if other := [c for c in found if c.items and c.published is not None and _differs(c)]:
        figures = listing([f"{c.model} {percent(c.published)}" for c in other])
        notes.append(
            f"The service publishes other figures ({figures}): it summarises the rows differently or leaves some out. "
            "Compared here is the mean score per row."
        )
    if unscored := [c.model for c in found if c.quality is None]:
        notes.append(f"Not scored by the service: {listing(unscored)}.")
    return tuple(notes)


def _candidate(result: "EvalResult", groups: Mapping[int, str] | None, read: Mapping[int, int]) -> Candidate:
    model, kind = str(result.model_id or "unnamed"), _kind(result.kind)
    cost, published = _number(result.mean_cost_micro_usd), _number(result.quality_mean)
    items = _items(result)
    if not items:
        low, high = _number(result.quality_ci_low), _number(result.quality_ci_high)
        return Candidate(model, kind, published, low, high, cost, _rows(result), _whole(result.error_count), published)
    ordered = sorted(items)
    scores = np.array([items[row].score for row in ordered], dtype=np.float64)
    low, high = intervals.of_mean(scores, membership(groups, ordered))
    errors = sum(item.errored for item in items.values())
    cost_low, cost_high = _cost_interval(cost, items, groups, read) or (None, None)
    return Candidate(
        model=model,
        kind=kind,
        quality=float(scores.mean()),
        low=low,
        high=high,
        mean_cost=cost,
        n=len(items),
        errors=errors,
        published=published,
        cost_low=cost_low,
        cost_high=cost_high,
        items=items,
    )


def _cost_interval(
    cost: float | None, items: Mapping[int, Item], groups: Mapping[int, str] | None, read: Mapping[int, int]
) -> intervals.Interval | None:
    rows = sorted(row for row in items if row in read and not items[row].errored)
    written = [len(items[row].prediction or "") for row in rows]
    return of_mean_cost(cost, [read[row] for row in rows], written, membership(groups, rows))


def _items(result: "EvalResult") -> Mapping[int, Item]:
    items = {item.idx: _item(item) for item in result.per_item if _whole(item.idx) is not None}
    # A part of the rows is not the sample: better the published figures than an accuracy on what happens to be there.
    complete = len(items) >= (_rows(result) or 0)
    return {idx: item for idx, item in items.items() if idx is not None} if complete else {}


def _item(item: "EvalItemResult") -> Item:
    score = _number(item.score)
    if item.error or score is None:
        return Item(0.0, str(item.error or "not scored"), errored=True)
    return Item(score, _said(item.prediction), errored=False)


def _said(prediction: object) -> str | None:
    if prediction is None or isinstance(prediction, str):
        return prediction
    return json.dumps(prediction, ensure_ascii=False, default=str)


def _rows(result: "EvalResult") -> int | None:
    succeeded = _whole(result.n_succeeded)
    return None if succeeded is None else succeeded + (_whole(result.error_count) or 0)


# Records hand on what the service sent, also where it is not of the type that was promised.


def _kind(value: object) -> ModelKind | None:
    match value:
        case "open" | "frontier":
            return value
        case _:
            return None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and isfinite(value) else None


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _rank(candidate: Candidate) -> tuple[bool, float, float, str]:
    cost = float("inf") if candidate.mean_cost is None else candidate.mean_cost
    return candidate.quality is None, -(candidate.quality or 0.0), cost, candidate.model


def _differs(candidate: Candidate) -> bool:
    # Services round to three digits; a thousandth is no other figure.
    return abs((candidate.published or 0.0) - (candidate.quality or 0.0)) > 0.001
