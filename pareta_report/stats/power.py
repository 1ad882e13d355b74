"""What a sample can show: the power of the very tests of `significance` and of the gate.

Right-or-wrong scores: the power of McNemar's exact test, by enumerating the disagreements. Graded or grouped scores:
the power of Gaffke's test when the truth is what the sample shows. Its normal quantile varies around that of the sample
itself; by how much follows from the sum of logarithms under its root (the delta method), so nothing is simulated. That
is within five points of the real power for rows, and for groups that are not too few or of too unequal a size; for
others no claim is made.
"""

from collections.abc import Callable
from functools import lru_cache
from math import ceil, log2, sqrt

import numpy as np

from pareta_report.stats.bounded_mean import NEAR_THE_MEAN, Scores, Units, centred, mean_of, tail
from pareta_report.stats.significance import ALPHA

POWER = 0.8  # of a claim "shows it in four of five cases"
MOST_ROWS = 1_000_000  # more are never said to be needed; raised, the search takes longer
BLOCK = 512  # numbers of disagreements whose critical values are found and kept together
SEARCHED = 1e-4  # how exactly a detectable difference is found, as a share of 1
# A sample in which two models never disagreed still allows for some: rule of thumb of two labellers of one task.
DISAGREEING = 0.2
FEWEST_TO_PLAN = 10  # rows or groups from which more are planned; raised, fewer samples say what they lack
FEWEST_TO_SHOW = 50  # rows or groups of which it is said what they show; raised, likewise
MOST_UNEVEN = 2.0  # largest group of which it is said what they show, in mean sizes; raised, claims are coarser


def of_mcnemar(rows: int, better: float, worse: float, tests: int = 1) -> float:
    """Return the chance that McNemar's exact test shows a difference at 5 % as one of `tests` (Bonferroni).

    `better` and `worse` are the shares of rows that only the one or only the other model gets right.
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
    """Return the chance that "the mean is at most `mean`" is rejected at `alpha`, if the truth is this sample.

    `scale` is the size of the sample planned, as a multiple of this one.
    """
    from scipy.special import ndtr, ndtri

    planned = units._replace(weights=units.weights * scale)
    found = tail(planned, mean, lowest)
    values, weights = centred(planned, mean, lowest)
    logs = np.log(1 - float(found.tilt) * values) if np.isfinite(found.z) else np.zeros_like(values)
    root = sqrt(max(2 * float((weights * logs).sum()), 0.0))
    total = float(planned.weights.sum())
    varied = float((planned.weights * (logs[:-1] - (planned.weights * logs[:-1]).sum() / total) ** 2).sum())
    spread = sqrt(varied) / root if root > NEAR_THE_MEAN else 1.0
    ahead = float(ndtri(alpha)) - float(found.z)
    return float(ndtr(ahead / spread)) if spread > 0 else float(ahead > 0)


def detectable(rows: int, disagreeing: float = DISAGREEING, tests: int = 1) -> float | None:
    """Return the smallest difference of right-or-wrong scores that shows in four of five samples; None if none does.

    `disagreeing` is the share of rows that only one of the two models gets right, at least the difference itself.
    """

    def power(difference: float) -> float:
        apart = max(disagreeing, difference)
        return of_mcnemar(rows, (apart + difference) / 2, (apart - difference) / 2, tests)

    return _smallest_share(power)


def rows_needed(better: float, worse: float, tests: int = 1) -> int | None:
    """Return the fewest rows on which McNemar's test shows this difference in four of five samples."""
    if better == worse:
        return None
    return _fewest(lambda rows: of_mcnemar(rows, better, worse, tests), 1)


def detectable_mean(units: Units, adverse: float = 0.0, tests: int = 1) -> float | None:
    """Return the smallest mean difference of graded or grouped scores that shows in four of five such samples.

    The differences are moved until their mean is it. `adverse` is how much lower the test takes the mean to be than
    it was scored, because of rows without an answer.
    """

    def power(difference: float) -> float:
        return of_bound(moved(units, difference - adverse), 0.0, -1.0, ALPHA / 2 / tests)

    return _smallest_share(power)


def units_needed(units: Units, mean: float, lowest: float, alpha: float) -> int | None:
    """Return how many units like these reject "the mean is at most `mean`" in four of five samples, if any number."""
    if float(mean_of(units)) <= mean:
        return None
    have = float(units.weights.sum())
    return _fewest(lambda number: of_bound(units, mean, lowest, alpha, number / have), 2)


def of_gate(rows: int, disagreeing: float = DISAGREEING, margin: float = 0.02, candidates: int = 1) -> float:
    """Return the chance that a model as good as the baseline passes a gate of this margin, for a plan.

    Right-or-wrong scores without groups and errors; `disagreeing` as for `detectable`.
    """
    half = disagreeing / 2
    counts = rows * np.array([half, 1 - disagreeing, half])
    units = Units(np.array([-1.0, 0.0, 1.0]), np.ones(3), counts)
    return of_bound(units, -margin, -1.0, ALPHA / 2 / candidates)


def rows_to_pass(margin: float = 0.02, candidates: int = 1, disagreeing: float = DISAGREEING) -> int | None:
    """Return the rows on which a model as good as the baseline passes the gate in four of five cases, to two digits."""
    needed = _fewest(lambda rows: of_gate(rows, disagreeing, margin, candidates), 2) if margin > 0 else None
    return None if needed is None else ceil(needed / (step := 10 ** max(0, len(str(needed)) - 2))) * step


def detectable_by_normal(standard_error: float, tests: int = 1) -> float:
    """Return the true difference that shows in four of five samples with this standard error (normal approximation)."""
    return _reach(tests) * standard_error


def rows_needed_by_normal(difference: float, standard_error: float, rows: int, tests: int = 1) -> int | None:
    """Return the rows that show `difference` in four of five samples, never fewer than a sign test can decide on.

    `standard_error` is that of `rows` rows.
    """
    if difference == 0:
        return None
    fewest = ceil(log2(2 * tests / ALPHA))
    return max(fewest, ceil(rows * (_reach(tests) * standard_error / difference) ** 2))


def can_plan(units: Units) -> bool:
    """Return whether it can be told from these units how many more would show a difference."""
    return float(units.weights.sum()) >= FEWEST_TO_PLAN


def can_show(units: Units) -> bool:
    """Return whether it can be told which difference a sample like these units shows."""
    mean = float((units.weights * units.sizes).sum() / units.weights.sum())
    return float(units.weights.sum()) >= FEWEST_TO_SHOW and float(units.sizes.max()) <= MOST_UNEVEN * mean


def moved(units: Units, mean: float) -> Units:
    """Return the units with every row's value moved alike until their mean is `mean`, inside -1 to 1."""
    shifted = units.sums + (mean - float(mean_of(units))) * units.sizes
    return units._replace(sums=np.clip(shifted, -units.sizes, units.sizes))


def _critical(fewest: int, most: int, tests: int) -> Scores:
    """Return, for each number of disagreements, how many of them must fall to one side (one more than all: none do)."""
    first = fewest // BLOCK
    blocks = [_critical_block(block, tests) for block in range(first, most // BLOCK + 1)]
    return np.concatenate(blocks)[fewest - first * BLOCK : most - first * BLOCK + 1]


@lru_cache(maxsize=4_096)
def _critical_block(block: int, tests: int) -> Scores:
    from scipy.special import bdtrc, ndtri

    alpha, several = ALPHA / 2 / tests, np.arange(block * BLOCK, (block + 1) * BLOCK)
    # From the normal quantile, which is off by one or two.
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
    while high - low > SEARCHED:
        middle = (low + high) / 2
        low, high = (low, middle) if power(middle) >= POWER else (middle, high)
    return high


def _fewest(power: Callable[[int], float], fewest: int) -> int | None:
    low, high = fewest - 1, fewest
    while power(high) < POWER:
        low, high = high, 2 * high
        if low >= MOST_ROWS:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(middle) >= POWER else (middle, high)
    return high


def _reach(tests: int) -> float:
    from scipy.stats import norm

    return float(norm.ppf(1 - ALPHA / 2 / tests) + norm.ppf(POWER))
