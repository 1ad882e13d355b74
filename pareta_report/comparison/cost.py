"""Interval of the mean cost of a request, from the tokens of each row."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from pareta_report.stats.bounded_mean import Scores, group_sums
from pareta_report.stats.intervals import Interval

if TYPE_CHECKING:
    from pareta_client import EvalResult

PRICE_RATIOS = (1.0, 3.0, 8.0)
"""Assumed prices of a completion token in prompt tokens: the service reports no price. The interval covers them all."""
ROUNDING_MICRO_USD = 1.0
"""Rounding error of a reported mean cost. Raised: wider intervals."""
DRAWS = 1_000
"""Resamples. Raised: less random variation of the interval, slower."""


def of_result(result: "EvalResult", groups: Sequence[str] | None = None) -> Interval | None:
    """Bound a model's mean cost by the tokens of its rows; None if the service does not report them for every row.

    The text of an answer cannot replace them: it does not contain the tokens of hidden reasoning, which are billed.
    """
    usages = [item.get("usage") for item in result.per_item if not item.error]
    tokens = [(use.get("prompt_tokens"), use.get("completion_tokens")) for use in usages if isinstance(use, dict)]
    known = [(read, written) for read, written in tokens if isinstance(read, int) and isinstance(written, int)]
    if not known or len(known) < len(usages) or not isinstance(result.mean_cost_micro_usd, int | float):
        return None
    read, written = zip(*known, strict=True)
    return of_mean_cost(float(result.mean_cost_micro_usd), read, written, groups)


def of_mean_cost(
    mean_cost: float | None, read: Sequence[int], written: Sequence[int], groups: Sequence[str] | None = None
) -> Interval | None:
    """Bound a mean cost (micro-USD) by the variation of prompt and completion tokens; None with fewer than two samples.

    The cost of a row is assumed proportional to its weighted tokens. With groups, the sample is the groups.
    """
    ratios = PRICE_RATIOS if any(written) else PRICE_RATIOS[:1]
    found = [_of_weights(np.asarray(read) + each * np.asarray(written), groups) for each in ratios]
    bounds = [each for each in found if each is not None]
    if mean_cost is None or not bounds:
        return None
    low, high = min(each.low for each in bounds), max(each.high for each in bounds)
    return Interval(max(mean_cost * max(low, 0.0) - ROUNDING_MICRO_USD, 0.0), mean_cost * high + ROUNDING_MICRO_USD)


def _of_weights(weights: Scores, groups: Sequence[str] | None) -> Interval | None:
    """Bound the mean weight as a share of the observed one: bootstrap-t of a ratio, no narrower than Student's t.

    Cochran, Sampling Techniques, 3rd ed., 6.3 (the variance of a ratio); Efron and Tibshirani 1993, 12.5.
    """
    from scipy.stats import t

    sums, counts = group_sums(weights.astype(np.float64), groups)
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


def value_text(value: object) -> str:
    """Return a value of a row for display: text unchanged, any other value as JSON."""
    if isinstance(value, dict) and len(value) == 1:
        (value,) = value.values()
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
