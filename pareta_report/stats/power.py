"""Power and sample size of the tests of `significance` and of the gate.

- Right-or-wrong scores: the power of McNemar's exact test, by enumeration of the disagreements.
- Graded or grouped scores: the power of Gaffke's test if the truth equals the sample. The variance of its normal
  quantile is from the delta method, so nothing is simulated. It is within five points of the true power. Samples with
  too few groups, or groups of too unequal size, have no result (`can_plan`, `can_show`).
"""

from bisect import bisect_left
from collections.abc import Callable
from functools import lru_cache
from math import ceil, log2, sqrt

import numpy as np

from pareta_report.stats.bounded_mean import MEAN_TOLERANCE, Scores, Units, centred, mean_of, tail
from pareta_report.stats.significance import ALPHA

POWER = 0.8
"""Power of a detectable difference and of the rows needed. Raised: larger values of both."""
MAX_ROWS = 1_000_000
"""Largest result for the rows needed. Raised: a longer search."""
BLOCK = 512
"""Numbers of disagreements per cached block of critical values. Raised: fewer, larger blocks."""
SEARCH_TOLERANCE = 1e-4
"""Absolute tolerance of a detectable difference. Raised: a faster, coarser search."""
DISAGREEING = 0.2
"""Assumed share of rows that only one of two models gets right. Raised: more rows needed."""
MIN_UNITS_TO_PLAN = 10
"""Rows or groups from which the rows needed are known. Raised: fewer samples with a result."""
MIN_UNITS_TO_SHOW = 50
"""Rows or groups from which the detectable difference is known. Raised: fewer samples with a result."""
MAX_SIZE_RATIO = 2.0
"""Largest group, in mean group sizes, up to which the detectable difference is known. Raised: less exact results."""


def of_mcnemar(rows: int, better: float, worse: float, tests: int = 1) -> float:
    """Return the power of McNemar's exact test at 5 % as one of `tests` (Bonferroni).

    `better` is the share of rows that only the first model gets right, `worse` the share of the second one.
    """
    from scipy.special import bdtrc
    from scipy.stats import binom

    disagreeing = min(better + worse, 1.0)
    if disagreeing <= 0:
        return 0.0
    around, spread = rows * disagreeing, sqrt(rows * disagreeing * (1 - disagreeing))
    several = np.arange(max(0, int(around - 9 * spread) - 1), min(rows, ceil(around + 9 * spread) + 1) + 1)
    critical = _critical(int(several[0]), int(several[-1]), tests)
    share = min(better / disagreeing, 1.0)
    shown = bdtrc(critical - 1, several, share) + bdtrc(critical - 1, several, 1 - share)
    return float((binom.pmf(several, rows, disagreeing) * shown).sum())


def of_bound(units: Units, mean: float, lowest: float, alpha: float, scale: float = 1.0) -> float:
    """Return the power to reject "the mean is at most `mean`" at `alpha`, if the truth equals this sample.

    `scale` is the planned sample size as a multiple of this one.
    """
    from scipy.special import ndtr, ndtri

    planned = units._replace(weights=units.weights * scale)
    found = tail(planned, mean, lowest)
    values, weights = centred(planned, mean, lowest)
    logs = np.log(1 - float(found.tilt) * values) if np.isfinite(found.z) else np.zeros_like(values)
    root = sqrt(max(2 * float((weights * logs).sum()), 0.0))
    total = float(planned.weights.sum())
    varied = float((planned.weights * (logs[:-1] - (planned.weights * logs[:-1]).sum() / total) ** 2).sum())
    spread = sqrt(varied) / root if root > MEAN_TOLERANCE else 1.0
    ahead = float(ndtri(alpha)) - float(found.z)
    return float(ndtr(ahead / spread)) if spread > 0 else float(ahead > 0)


def detectable(rows: int, disagreeing: float = DISAGREEING, tests: int = 1) -> float | None:
    """Return the smallest difference of right-or-wrong scores detected with 80 % power; None if no difference is.

    `disagreeing` is the share of rows that only one of the two models gets right, at least the difference itself.
    """

    def power(difference: float) -> float:
        apart = max(disagreeing, difference)
        return of_mcnemar(rows, (apart + difference) / 2, (apart - difference) / 2, tests)

    return _smallest_share(power)


def rows_needed(better: float, worse: float, tests: int = 1) -> int | None:
    """Return the smallest number of rows on which McNemar's test detects this difference with 80 % power."""
    if better == worse:
        return None
    return _smallest_number(lambda rows: of_mcnemar(rows, better, worse, tests), 1)


def detectable_mean(units: Units, adverse: float = 0.0, tests: int = 1) -> float | None:
    """Return the smallest mean difference of graded or grouped scores detected with 80 % power.

    The differences are shifted to the mean in question. `adverse` is the reduction of the mean in the test because of
    rows without an answer.
    """

    def power(difference: float) -> float:
        return of_bound(moved(units, difference - adverse), 0.0, -1.0, ALPHA / 2 / tests)

    return _smallest_share(power)


def units_needed(units: Units, mean: float, lowest: float, alpha: float) -> int | None:
    """Return the number of such units that rejects "the mean is at most `mean`" with 80 % power, or None."""
    if float(mean_of(units)) <= mean:
        return None
    have = float(units.weights.sum())
    return _smallest_number(lambda number: of_bound(units, mean, lowest, alpha, number / have), 2)


def of_gate(rows: int, disagreeing: float = DISAGREEING, margin: float = 0.02, candidates: int = 1) -> float:
    """Return the probability that a model as good as the baseline passes a gate with this margin.

    For right-or-wrong scores without groups and errors; `disagreeing` as in `detectable`.
    """
    half = disagreeing / 2
    counts = rows * np.array([half, 1 - disagreeing, half])
    units = Units(np.array([-1.0, 0.0, 1.0]), np.ones(3), counts)
    return of_bound(units, -margin, -1.0, ALPHA / 2 / candidates)


def rows_to_pass(margin: float = 0.02, candidates: int = 1, disagreeing: float = DISAGREEING) -> int | None:
    """Return the rows on which a model as good as the baseline passes the gate with 80 % power, to two digits."""
    needed = _smallest_number(lambda rows: of_gate(rows, disagreeing, margin, candidates), 2) if margin > 0 else None
    return None if needed is None else ceil(needed / (step := 10 ** max(0, len(str(needed)) - 2))) * step


def detectable_by_normal(standard_error: float, tests: int = 1) -> float:
    """Return the true difference detected with 80 % power at this standard error (normal approximation)."""
    return _standard_errors(tests) * standard_error


def rows_needed_by_normal(difference: float, standard_error: float, rows: int, tests: int = 1) -> int | None:
    """Return the rows that detect `difference` with 80 % power, at least the minimum of a sign test.

    `standard_error` is that of `rows` rows.
    """
    if difference == 0:
        return None
    minimum = ceil(log2(2 * tests / ALPHA))
    return max(minimum, ceil(rows * (_standard_errors(tests) * standard_error / difference) ** 2))


def can_plan(units: Units) -> bool:
    """Return whether there are enough units to estimate the rows needed."""
    return float(units.weights.sum()) >= MIN_UNITS_TO_PLAN


def can_show(units: Units) -> bool:
    """Return whether the units are enough, and even enough in size, for a detectable difference."""
    mean = float((units.weights * units.sizes).sum() / units.weights.sum())
    return float(units.weights.sum()) >= MIN_UNITS_TO_SHOW and float(units.sizes.max()) <= MAX_SIZE_RATIO * mean


def moved(units: Units, mean: float) -> Units:
    """Return the units with all values shifted to the mean `mean` and clipped to -1 to 1."""
    shifted = units.sums + (mean - float(mean_of(units))) * units.sizes
    return units._replace(sums=np.clip(shifted, -units.sizes, units.sizes))


def _critical(low: int, high: int, tests: int) -> Scores:
    """Return the critical value for each number of disagreements: the count on one side; above the number if none."""
    first = low // BLOCK
    blocks = [_critical_block(block, tests) for block in range(first, high // BLOCK + 1)]
    return np.concatenate(blocks)[low - first * BLOCK : high - first * BLOCK + 1]


@lru_cache(maxsize=4_096)
def _critical_block(block: int, tests: int) -> Scores:
    from scipy.special import bdtrc, ndtri

    alpha, several = ALPHA / 2 / tests, np.arange(block * BLOCK, (block + 1) * BLOCK)
    # Start at the normal quantile, which is off by one or two.
    needed = np.ceil(several / 2 - float(ndtri(alpha)) * np.sqrt(several) / 2)
    needed = np.clip(needed, 1, several + 1)
    while np.any(short := (needed <= several) & (bdtrc(needed - 1, several, 0.5) > alpha)):
        needed = needed + short
    while np.any(long := (needed > 1) & (bdtrc(needed - 2, several, 0.5) <= alpha)):
        needed = needed - long
    return needed


def _smallest_share(power: Callable[[float], float]) -> float | None:
    low, high = 0.0, 1.0
    if power(high) < POWER:
        return None
    while high - low > SEARCH_TOLERANCE:
        middle = (low + high) / 2
        low, high = (low, middle) if power(middle) >= POWER else (middle, high)
    return high


def _smallest_number(power: Callable[[int], float], minimum: int) -> int | None:
    low, high = minimum - 1, minimum
    while power(high) < POWER:
        low, high = high, 2 * high
        if low >= MAX_ROWS:
            return None
    return low + 1 + bisect_left(range(low + 1, high), POWER, key=power)


def _standard_errors(tests: int) -> float:
    from scipy.stats import norm

    return float(norm.ppf(1 - ALPHA / 2 / tests) + norm.ppf(POWER))
