"""95 % intervals for scores and for paired differences of scores.

Scores lie between 0 and 1. Every interval is a function of its input alone: resampling is seeded from the content.
"""

import hashlib
import warnings
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]

CONFIDENCE = 0.95
RESAMPLES = 9_999


class Interval(NamedTuple):
    """A lower and an upper bound."""

    low: float
    high: float


@lru_cache(maxsize=4_096)  # the same few counts come again and again, and scipy takes its time
def wilson(right: int, n: int) -> Interval:
    """Return the Wilson score interval of a proportion; n is at least 1."""
    from scipy.stats import binomtest

    bounds = binomtest(right, n).proportion_ci(CONFIDENCE, method="wilson")
    return Interval(float(bounds.low), float(bounds.high))


def of_mean(scores: Scores, groups: Sequence[str] | None = None) -> Interval:
    """Bound the mean score: Wilson for right-or-wrong scores, a BCa bootstrap for graded or grouped ones."""
    if groups is None and _all_in(scores, (0.0, 1.0)):
        return wilson(int(scores.sum()), scores.size)
    bounds = _bootstrap(scores, groups) or with_two_rows_added(_group_means(scores, groups), (0.0, 1.0))
    return Interval(max(bounds.low, 0.0), min(bounds.high, 1.0))


def of_difference(differences: Scores, groups: Sequence[str] | None = None) -> Interval:
    """Bound the mean of paired differences (-1 to 1): closed form for right-or-wrong scores, else a BCa bootstrap."""
    if groups is None and _all_in(differences, (-1.0, 0.0, 1.0)):
        return with_two_rows_added(differences, (-1.0, 1.0))
    return _bootstrap(differences, groups) or with_two_rows_added(_group_means(differences, groups), (-1.0, 1.0))


def with_two_rows_added(values: Scores, extremes: tuple[float, float]) -> Interval:
    """Bound a mean after adding one row at either extreme, so that no sample, however uniform, looks certain.

    For paired right-or-wrong scores this is Bonett and Price's interval (J. Educ. Behav. Stat. 37, 2012), which
    covers well where the bootstrap does not: few rows, few disagreements.
    """
    from scipy.stats import norm

    padded = np.append(values, extremes)
    half = float(norm.ppf((1 + CONFIDENCE) / 2)) * float(padded.std()) / float(np.sqrt(padded.size))
    return Interval(float(padded.mean()) - half, float(padded.mean()) + half)


def by_normal(mean: float, standard_error: float) -> Interval:
    """Bound a mean by the normal approximation."""
    from scipy.stats import norm

    half = float(norm.ppf((1 + CONFIDENCE) / 2)) * standard_error
    return Interval(mean - half, mean + half)


def seeded(values: Scores) -> np.random.Generator:
    """Return a generator whose seed is the content, so that the same scores give the same report."""
    return np.random.default_rng(int.from_bytes(hashlib.sha256(values.tobytes()).digest()[:8], "big"))


def group_sums(values: Scores, groups: Sequence[str] | None) -> tuple[Scores, Scores]:
    """Return the sum and the number of rows of every group; without groups every row is one."""
    if groups is None:
        return values, np.ones_like(values)
    if len(groups) != values.size:
        raise ValueError(f"{len(groups)} group names for {values.size} rows")
    _, member = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    # numpy's own annotation calls weighted counts whole numbers.
    sums, counts = np.bincount(member, weights=values), np.bincount(member)
    return sums.astype(np.float64), counts.astype(np.float64)


def _bootstrap(values: Scores, groups: Sequence[str] | None) -> Interval | None:
    """Resample whole groups; return None where the sample is too uniform or too small to resample."""
    from scipy.stats import bootstrap

    sums, counts = group_sums(values, groups)
    if sums.size < 2 or np.ptp(sums / counts) == 0:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a degenerate sample is answered below, not warned of
        bounds = bootstrap(
            (sums, counts),
            _ratio,
            paired=True,
            vectorized=True,
            n_resamples=RESAMPLES,
            confidence_level=CONFIDENCE,
            method="BCa",
            rng=seeded(values),
        ).confidence_interval
    low, high = float(bounds.low), float(bounds.high)
    return Interval(low, high) if np.isfinite(low) and np.isfinite(high) else None


def _ratio(sums: Scores, counts: Scores, axis: int = -1) -> Scores:
    ratio: Scores = sums.sum(axis=axis) / counts.sum(axis=axis)
    return ratio


def _group_means(values: Scores, groups: Sequence[str] | None) -> Scores:
    sums, counts = group_sums(values, groups)
    return sums / counts


def _all_in(values: Scores, allowed: tuple[float, ...]) -> bool:
    return bool(np.isin(values, allowed).all())
