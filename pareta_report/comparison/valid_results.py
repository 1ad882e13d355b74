"""Validation of the results of the service: invalid values are excluded and named.

Checks: scores and means within the scale, order of bounds, counts are integers, no duplicate row or model.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

from pareta_report.comparison.results import ModelKind
from pareta_report.stats.bounded_mean import Scores

if TYPE_CHECKING:
    from pareta_client import EvalItemResult, EvalResult

SCALE = (0.0, 1.0)
ROUNDING = 1e-9
"""Tolerance of the scale, for rounding. Raised: scores farther outside the scale are accepted."""


@dataclass(frozen=True, slots=True)
class Item:
    """Score of one row (0 without an answer), the model's answer, and whether the answer is missing."""

    score: float
    prediction: str | None
    errored: bool


NO_RESULT = Item(0.0, "no result", errored=True)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One model of a run. `items` is empty without complete per-row scores.

    `answered_quality` is the mean score of the answered rows; `faults` lists the excluded values.
    """

    model: str
    kind: ModelKind | None
    quality: float | None = None
    low: float | None = None
    high: float | None = None
    mean_cost: float | None = None
    n: int | None = None
    errors: int | None = None
    published: float | None = None
    cost_low: float | None = None
    cost_high: float | None = None
    answered_quality: float | None = None
    items: Mapping[int, Item] = field(default_factory=dict)
    faults: tuple[str, ...] = ()

    def scores(self, rows: Sequence[int], unanswered: float = 0.0) -> Scores:
        """Return the scores of the given rows, in their order; a row without an answer has the score `unanswered`."""
        items = [self.items[row] for row in rows]
        return np.array([unanswered if item.errored else item.score for item in items], dtype=np.float64)

    def answered(self, row: int) -> bool:
        """Return whether the model answered a row."""
        return not self.items[row].errored

    @property
    def no_answer(self) -> float:
        """Share of the rows requested without an answer; 0 if unknown."""
        return (self.errors or 0) / self.n if self.n else 0.0

    @property
    def at_best(self) -> float | None:
        """Quality if every row without an answer counts as right."""
        if self.quality is None:
            return None
        answered = self.quality if self.items else self.quality * (1 - self.no_answer)
        return min(1.0, answered + self.no_answer)


def valid_results(results: Sequence["EvalResult"], scale: tuple[float, float] | None = None) -> tuple[Candidate, ...]:
    """Return the valid part of each result; a duplicate model counts as not scored.

    `scale` is the declared range of the scores, 0 to 1 by default. Every score and mean is rescaled to 0 to 1.
    """
    valid = [_valid(result, scale or SCALE) for result in results]
    times = Counter(each.model for each in valid)
    once = {each.model: each for each in valid}
    return tuple(
        each if times[model] == 1 else Candidate(model, each.kind, faults=(f"duplicate model, {times[model]} results",))
        for model, each in once.items()
    )


def rows_asked(found: Sequence[Candidate]) -> frozenset[int]:
    """Return the row indices with a result of any model, extended to the number of rows by the reported counts."""
    listed = {row for each in found for row in each.items}
    counted = max((each.n or 0 for each in found if each.items), default=0)
    unlisted = (row for row in range(counted) if row not in listed)
    return frozenset(listed | {row for row, _ in zip(unlisted, range(counted - len(listed)), strict=False)})


def _valid(result: "EvalResult", scale: tuple[float, float]) -> Candidate:
    cost = number(result.mean_cost_micro_usd)
    found = Candidate(str(result.model_id or "unnamed"), _kind(result.kind), mean_cost=cost)
    if cost is not None and cost < 0:
        found = replace(found, mean_cost=None, faults=(f"its cost is {cost:g} micro-USD",))
    if wrong := _wrong_counts(result) or _wrong_rows(result) or _off_scale(result, scale):
        return replace(found, faults=(*found.faults, wrong))
    succeeded, errors = _whole(result.n_succeeded), _whole(result.error_count)
    rows = None if succeeded is None else succeeded + (errors or 0)
    quality, low, high, faults = _published(result, scale)
    return replace(
        found,
        quality=quality,
        low=low,
        high=high,
        n=rows,
        errors=errors,
        published=quality,
        items=_items(result, scale, succeeded or 0, rows or 0),
        faults=(*found.faults, *faults),
    )


def _items(result: "EvalResult", scale: tuple[float, float], succeeded: int, rows: int) -> Mapping[int, Item]:
    items = {item.idx: _item(item, scale) for item in result.per_item if item.idx is not None}
    # With some rows missing, the published figures are used instead: the listed rows are no random sample. Rows with
    # an error may be missing: they count as rows without an answer.
    answered = sum(not item.errored for item in items.values())
    return items if len(items) >= rows or answered >= succeeded else {}


def _item(item: "EvalItemResult", scale: tuple[float, float]) -> Item:
    score = number(item.score)
    if item.error or score is None:
        return Item(0.0, str(item.error or "not scored"), errored=True)
    return Item(_scaled(score, scale), _text(item.prediction), errored=False)


def _published(
    result: "EvalResult", scale: tuple[float, float]
) -> tuple[float | None, float | None, float | None, tuple[str, ...]]:
    """Return the published mean and its bounds, None where invalid, and the faults."""
    mean, low, high = (number(value) for value in (result.quality_mean, result.quality_ci_low, result.quality_ci_high))
    if mean is not None and not _on(mean, scale):
        return None, None, None, (f"its published quality {mean:g} is not between {scale[0]:g} and {scale[1]:g}",)
    quality = None if mean is None else _scaled(mean, scale)
    if low is None or high is None:
        return quality, None, None, ()
    published = f"its published interval {low:g} to {high:g}"
    if not (_on(low, scale) and _on(high, scale)):
        return quality, None, None, (f"{published} is not between {scale[0]:g} and {scale[1]:g}",)
    if low > high or (mean is not None and not low <= mean <= high):
        return quality, None, None, (f"{published} does not contain its mean",)
    if low == high:
        return quality, None, None, (f"{published} has no width",)
    return quality, _scaled(low, scale), _scaled(high, scale), ()


def _wrong_counts(result: "EvalResult") -> str | None:
    # The raw value: a record converts a numeral to a number.
    counts = {name: result.get(name) for name in ("n_succeeded", "error_count")}
    wrong = [f"{name} is {value!r}" for name, value in counts.items() if value is not None and _whole(value) is None]
    return f"{' and '.join(wrong)}, not a number of rows" if wrong else None


def _wrong_rows(result: "EvalResult") -> str | None:
    times = Counter(item.idx for item in result.per_item if item.idx is not None)
    if duplicates := [row for row, number_of in times.items() if number_of > 1]:
        return f"duplicate row {duplicates[0]!r}, {times[duplicates[0]]} results"
    wrong = [row for row in times if _whole(row) is None]
    return f"invalid row index {wrong[0]!r}" if wrong else None


def _off_scale(result: "EvalResult", scale: tuple[float, float]) -> str | None:
    for item in result.per_item:
        score = number(item.score)
        if score is not None and not item.error and not _on(score, scale):
            declared = f"between {scale[0]:g} and {scale[1]:g}"
            return f"row {item.idx} scores {score:g}, not {declared}; declare the scale as score_range"
    return None


def _on(value: float, scale: tuple[float, float]) -> bool:
    return scale[0] - ROUNDING <= value <= scale[1] + ROUNDING


def _scaled(value: float, scale: tuple[float, float]) -> float:
    return min(max((value - scale[0]) / (scale[1] - scale[0]), 0.0), 1.0)


def _text(prediction: object) -> str | None:
    if prediction is None or isinstance(prediction, str):
        return prediction
    return json.dumps(prediction, ensure_ascii=False, default=str)


# A record may contain values of another type than declared.


def _kind(value: object) -> ModelKind | None:
    match value:
        case "open" | "frontier":
            return value
        case _:
            return None


def number(value: object) -> float | None:
    """Return a finite number as a float, any other value as None."""
    return float(value) if isinstance(value, int | float) and isfinite(value) else None


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
