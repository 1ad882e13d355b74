"""How far the mean cost of a request may be off, from how the rows differ in length."""

import json
from collections.abc import Mapping, Sequence

import numpy as np

from pareta_report import intervals
from pareta_report.intervals import Interval

# A token that is written costs several times as much as one that is read, wherever prices are known.
WRITTEN_TO_READ = 3.0


def of_mean_cost(
    mean_cost: float | None, read: Sequence[int], written: Sequence[int], groups: Sequence[str] | None = None
) -> Interval | None:
    """Bound a mean cost (micro-USD) by how the rows differ in length; None without lengths.

    The service tells one mean cost for a model. A row's cost is taken as proportional to the characters read and
    written; the interval is the normal one of a ratio of sums, over groups where rows belong together.
    """
    weights = np.asarray(read, dtype=np.float64) + WRITTEN_TO_READ * np.asarray(written, dtype=np.float64)
    sums, counts = intervals.group_sums(weights, groups)
    if mean_cost is None or sums.size < 2 or weights.sum() == 0:
        return None
    mean = weights.mean()
    # Cochran, Sampling Techniques, 3rd ed., section 6.3: the variance of a ratio of sums.
    residuals = (sums - mean * counts) / counts.mean()
    error = float(residuals.std(ddof=1) / np.sqrt(sums.size) / mean)
    low, high = intervals.by_normal(1.0, error)
    return Interval(mean_cost * max(low, 0.0), mean_cost * high)


def lengths(rows: Sequence[Mapping[str, object]] | None) -> Mapping[int, int]:
    """Return how many characters each row's input has, by the row's place."""
    return {place: len(said(row.get("input"))) for place, row in enumerate(rows or ())}


def said(value: object) -> str:
    """Write a value of a row as a reader wants to see it: text as it is, anything else as JSON."""
    if isinstance(value, dict) and len(value) == 1:
        (value,) = value.values()
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
