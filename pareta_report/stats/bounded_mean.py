"""Tests and confidence bounds for the mean of bounded values: Gaffke's bound.

H0: the mean is at most m. Add one value at the lower end to the sample, and draw weights from the flat Dirichlet
distribution. The p value is the probability that the weighted mean is at most m.

- Gaffke, "Three test statistics for a nonparametric one-sided hypothesis on the mean of a nonnegative variable", Math.
  Methods Statist. 14, 2005; Learned-Miller and Thomas, arXiv:1905.06208, 2019.
- There is no normal approximation and no resampling.

- For right-or-wrong scores the bound is Clopper and Pearson's, and for their paired differences the test of m = 0 is
  McNemar's exact test: P(Gamma(c + 1) >= Gamma(b)) = P(Binomial(b + c, 1/2) >= b).
- The added value represents a failure that the sample did not contain: twenty equal rows are little evidence.
- For graded values its validity is a conjecture; no counterexample is known, and `docs/statistics.md` measures it.

The p value is the probability that a weighted sum of gamma variables is at most zero. It is computed by a saddlepoint
formula: Lugannani-Rice in the form of Barndorff-Nielsen (Butler, Saddlepoint Approximations with Applications, 2007,
section 1.2). In the tails it is 0 to 6 % above the exact value, which is conservative, and it has no floor.
"""

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]

MAX_STEPS = 100
"""Steps of Newton's method; a step outside the bracket becomes a bisection. Raised: no effect after convergence."""
TILT_TOLERANCE = 1e-10
"""Relative tolerance of a saddlepoint. Raised: one step fewer, coarser p values."""
ROUNDING = 4 * float(np.finfo(np.float64).eps)
"""Relative rounding error of a sum. Raised: fewer steps for a saddlepoint near 0, coarser p values."""
BOUND_TOLERANCE = 1e-7
"""Absolute tolerance of a bound. Raised: faster reports, coarser bounds."""
SMALLEST = float(np.sqrt(np.finfo(np.float64).tiny))
"""Smallest distance of a sum to its mean that counts: the square of a smaller one underflows."""
MEAN_TOLERANCE = 1e-3
"""Distance to the mean, in standard deviations, below which the formula is 0 / 0 and its limit is used."""


class Units(NamedTuple):
    """The independent units of a sample: rows, or groups of rows.

    Arrays of one shape, with the units along the last axis. `sums` is the sum of the values of a unit, `sizes` its
    number of rows, `weights` the number of equal units.
    """

    sums: Scores
    sizes: Scores
    weights: Scores


class Tail(NamedTuple):
    """A test of "the mean is at most m": `z` is the normal quantile of its p value, `tilt` the saddlepoint."""

    z: Scores
    tilt: Scores


def units_of(values: Scores, groups: Sequence[str] | None = None) -> Units:
    """Return the independent units of a sample: its rows, or its groups of rows."""
    if groups is None:
        distinct, counts = np.unique(values, return_counts=True)
        return Units(distinct, np.ones_like(distinct), counts.astype(np.float64))
    sums, sizes = group_sums(values, groups)
    return Units(sums, sizes, np.ones_like(sums))


def group_sums(values: Scores, groups: Sequence[str] | None) -> tuple[Scores, Scores]:
    """Return the sum and the number of rows of every group; without groups every row is a group."""
    if groups is None:
        return values, np.ones_like(values)
    if len(groups) != values.size:
        raise ValueError(f"{len(groups)} group names for {values.size} rows")
    _, member = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    # numpy annotates weighted counts as integers.
    sums, counts = np.bincount(member, weights=values), np.bincount(member)
    return sums.astype(np.float64), counts.astype(np.float64)


def mean_of(units: Units) -> Scores:
    """Return the mean value of a row: a ratio of sums, because group sizes differ."""
    mean: Scores = (units.weights * units.sums).sum(axis=-1) / (units.weights * units.sizes).sum(axis=-1)
    return mean


def p_at_most(units: Units, mean: float, lowest: float) -> float:
    """Return the p value of "the mean is at most `mean`", for values of at least `lowest`."""
    from scipy.special import ndtr

    return float(ndtr(tail(units, mean, lowest).z))


def lower_bound(units: Units, lowest: float, alpha: float) -> float:
    """Return the lower confidence bound: "the mean is at most m" is rejected at `alpha` for every m below it."""
    from scipy.optimize import brentq
    from scipy.special import ndtri

    mean, z = float(mean_of(units)), float(ndtri(alpha))

    @cache  # brentq begins at both ends again
    def above(m: float) -> float:
        return float(tail(units, m, lowest).z) - z

    first = lowest + BOUND_TOLERANCE
    if mean <= first or above(first) >= 0:
        return lowest
    return mean if above(mean) <= 0 else float(brentq(above, first, mean, xtol=BOUND_TOLERANCE))


def tail(units: Units, mean: "float | Scores", lowest: float) -> Tail:
    """Return the test of "the mean is at most `mean`" for every sample (all axes but the last)."""
    values, weights = centred(units, mean, lowest)
    none_above, none_below = values.max(axis=-1) < SMALLEST, values.min(axis=-1) > -SMALLEST
    # The sign of such a sum is certain: two values of unequal sign avoid a division by zero, and z is set below.
    values = np.where((none_above | none_below)[..., None], np.linspace(-1, 1, values.shape[-1]), values)
    tilt = _saddlepoint(values, weights)
    remainder = 1 - tilt[..., None] * values
    root = np.sign(tilt) * np.sqrt(np.maximum(2 * (weights * np.log(remainder)).sum(axis=-1), 0.0))
    other = tilt * np.sqrt((weights * (values / remainder) ** 2).sum(axis=-1))
    skew = 2 * (weights * values**3).sum(axis=-1) / (weights * values**2).sum(axis=-1) ** 1.5
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(np.abs(root) < MEAN_TOLERANCE, root + skew / 6, root + np.log(other / root) / root)
    return Tail(np.where(none_above, np.inf, np.where(none_below, -np.inf, z)), tilt)


def centred(units: Units, mean: "float | Scores", lowest: float) -> tuple[Scores, Scores]:
    """Return each unit's sum minus that of rows at `mean`, with the added unit last, and the weights.

    The added unit has the size of the largest one, all rows at `lowest`: large groups may fail more often than small
    ones.
    """
    at = np.asarray(mean, dtype=np.float64)
    added = (lowest - at) * units.sizes.max(axis=-1)
    values = np.concatenate([units.sums - at[..., None] * units.sizes, added[..., None]], axis=-1)
    weights = np.concatenate([units.weights, np.ones_like(added)[..., None]], axis=-1)
    return values, weights


def _saddlepoint(values: Scores, weights: Scores) -> Scores:
    """Return the zero of the derivative of `-sum(weights * log(1 - s * values))`, which is monotonic.

    Newton's method on the derivative times the distances to its two nearest poles: almost a straight line, and quite
    one for two values.
    """
    first, last = 1 / values.min(axis=-1), 1 / values.max(axis=-1)
    low, high = first, last
    at: Scores = np.zeros_like(low)
    for _ in range(MAX_STEPS):
        scaled = values / (1 - at[..., None] * values)
        slope, bend = (weights * scaled).sum(axis=-1), (weights * scaled**2).sum(axis=-1)
        low, high = np.where(slope > 0, low, at), np.where(slope > 0, at, high)
        with np.errstate(divide="ignore", invalid="ignore"):  # the line may be level: such a step is in no bracket
            step = at - slope / (bend + slope * (1 / (at - first) - 1 / (last - at)))
        # The sign of a slope of rounding errors is random: a step from the zero may leave the bracket.
        is_rounding = np.abs(slope) <= ROUNDING * (weights * np.abs(scaled)).sum(axis=-1)
        close = is_rounding | (np.abs(step - at) <= TILT_TOLERANCE * np.abs(at))
        at = np.where((step > low) & (step < high), step, np.where(close, at, (low + high) / 2))
        if np.all(close):
            break
    return at
