"""Tests of paired differences, and corrections for multiple tests."""

from collections.abc import Sequence

from pareta_report.stats.bounded_mean import Scores, p_at_most, units_of
from pareta_report.stats.intervals import CONFIDENCE, all_in

ALPHA = 0.05
"""Level of a two-sided test. Raised: more differences shown, more of them false."""


def p_of_gaps(lows: Scores, highs: Scores, groups: Sequence[str] | None = None) -> float:
    """Return the two-sided p value of "the mean is zero", with a lowest and a highest difference per row.

    It is rejected only if that holds whether rows without an answer count as right or as wrong. Right-or-wrong scores:
    McNemar's exact test. Graded or grouped scores: Gaffke's, which generalises it.
    """
    return min(1.0, 2 * min(p_not_above(lows, 0.0, groups), p_not_above(-highs, 0.0, groups)))


def p_not_above(differences: Scores, at: float, groups: Sequence[str] | None = None) -> float:
    """Return the one-sided p value of "the mean paired difference (-1 to 1) is at most `at`"."""
    if at == 0 and groups is None and all_in(differences, (-1.0, 0.0, 1.0)):
        return _binomial(int((differences > 0).sum()), int((differences < 0).sum()))
    return p_at_most(units_of(differences, groups), at, -1.0)


def holm(p_values: Sequence[float], family: int | None = None) -> list[float]:
    """Return Holm's adjusted p values, in the order of the input.

    `family` is the number of tests that could have been chosen, at least `len(p_values)`. Tests not made count as not
    rejected, which is conservative.
    """
    tests = max(family or 0, len(p_values))
    adjusted = [1.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (tests - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def best_against_rest(p_values: Sequence[float]) -> list[float]:
    """Return the adjusted p values of the model with the highest score against every other one.

    The best model was selected on the same rows, so each single claim is corrected over all pairs (Holm). The claim
    that it beats *every* other model needs no correction: the largest p value is its bound (Gutmann and Maymin, Ann.
    Stat. 15, 1987; Hung and Fithian, Ann. Stat. 47, 2019). Each result is the smaller one of the two.
    """
    weakest = max(p_values, default=1.0)
    return [min(adjusted, weakest) for adjusted in holm(p_values, pairs_of(len(p_values) + 1))]


def pairs_of(models: int) -> int:
    """Return the number of pairs of `models` models: the tests of a selection of the best."""
    return models * (models - 1) // 2


def standard_error_of(low: float, high: float) -> float:
    """Return the standard error that a published 95 % interval implies, by the normal approximation."""
    from scipy.stats import norm

    return (high - low) / (2 * float(norm.ppf((1 + CONFIDENCE) / 2)))


def p_by_normal(difference: float, standard_error: float) -> float:
    """Return the two-sided p value of a difference by the normal approximation."""
    from scipy.stats import norm

    if standard_error == 0:
        return 1.0 if difference == 0 else 0.0
    return 2 * float(norm.sf(abs(difference) / standard_error))


def _binomial(better: int, worse: int) -> float:
    from scipy.special import bdtrc

    # The probability of at least `better` heads in `better + worse` tosses of a fair coin.
    return float(bdtrc(better - 1, better + worse, 0.5)) if better else 1.0
