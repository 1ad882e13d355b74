"""How far the mean cost of a request may be off, from how many tokens each row took."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from pareta_report.stats import intervals
from pareta_report.stats.intervals import Interval, Scores

if TYPE_CHECKING:
    from pareta_client import EvalResult

WRITTEN_TO_READ = (1.0, 3.0, 8.0)
"""Prices of a written token in read ones. The interval is the widest of these: the service tells no price."""
ROUNDED = 1.0
"""Micro-USD by which the service may have rounded a mean cost."""
DRAWS = 1_000
"""Resamples. Raised: a steadier interval, slower."""


def of_result(result: "EvalResult", groups: Sequence[str] | None = None) -> Interval | None:
    """Bound a model's mean cost by the tokens of its rows; None where the service does not tell those of each row.

    The text of an answer is no substitute: tokens of hidden reasoning are billed and not in it.
    """
    used = [item.get("usage") for item in result.per_item if not item.error]
    tokens = [(use.get("prompt_tokens"), use.get("completion_tokens")) for use in used if isinstance(use, dict)]
    whole = [(read, written) for read, written in tokens if isinstance(read, int) and isinstance(written, int)]
    if not whole or len(whole) < len(used) or not isinstance(result.mean_cost_micro_usd, int | float):
        return None
    read, written = zip(*whole, strict=True)
    return of_mean_cost(float(result.mean_cost_micro_usd), read, written, groups)


def of_mean_cost(
    mean_cost: float | None, read: Sequence[int], written: Sequence[int], groups: Sequence[str] | None = None
) -> Interval | None:
    """Bound a mean cost (micro-USD) by how rows differ in tokens read and written; None for fewer than two samples.

    A row's cost is taken as proportional to its tokens; a ratio of sums over groups where rows belong together.
    """
    times = WRITTEN_TO_READ if any(written) else WRITTEN_TO_READ[:1]
    found = [_of_weights(np.asarray(read) + each * np.asarray(written), groups) for each in times]
    bounds = [each for each in found if each is not None]
    if mean_cost is None or not bounds:
        return None
    low, high = min(each.low for each in bounds), max(each.high for each in bounds)
    return Interval(max(mean_cost * max(low, 0.0) - ROUNDED, 0.0), mean_cost * high + ROUNDED)


def _of_weights(weights: Scores, groups: Sequence[str] | None) -> Interval | None:
    """Bound the mean weight as a share of the observed one: bootstrap-t of a ratio, no narrower than Student's t.

    Cochran, Sampling Techniques, 3rd ed., 6.3 (the variance of a ratio); Efron and Tibshirani 1993, 12.5.
    """
    from scipy.stats import t

    sums, counts = intervals.group_sums(weights.astype(np.float64), groups)
    n = sums.size
    if n < 2 or sums.sum() == 0:
        return None
    (mean,), (error,) = _ratios(sums[np.newaxis], counts[np.newaxis])
    chosen = np.random.default_rng([n, int(sums.sum())]).integers(0, n, (DRAWS, n))
    means, errors = _ratios(sums[chosen], counts[chosen])
    pivots = (means - mean) / np.maximum(errors, 1e-9 * mean)
    low, high = np.quantile(pivots, (0.025, 0.975))
    student = float(t.ppf(0.975, n - 1))
    return Interval(float(1 - max(high, student) * error / mean), float(1 - min(low, -student) * error / mean))


def _ratios(sums: Scores, counts: Scores) -> tuple[Scores, Scores]:
    """Return the mean of each sample (a row of the arrays) and its standard error."""
    means = sums.sum(axis=1) / counts.sum(axis=1)
    residuals = sums - means[:, np.newaxis] * counts
    n = sums.shape[1]
    errors: Scores = np.sqrt((residuals**2).sum(axis=1) / (n - 1) / n) / counts.mean(axis=1)
    return means, errors


def said(value: object) -> str:
    """Write a value of a row as a reader wants to see it: text as it is, anything else as JSON."""
    if isinstance(value, dict) and len(value) == 1:
        (value,) = value.values()
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
