"""Tests of paired differences, their correction for many looks, and what a sample of this size can show at all."""

from collections.abc import Sequence
from functools import lru_cache
from math import ceil

import numpy as np

from pareta_report.intervals import CONFIDENCE, RESAMPLES, Scores, group_sums, seeded

ALPHA = 0.05
POWER = 0.8


def p_of_no_difference(differences: Scores, groups: Sequence[str] | None = None) -> float:
    """Test that the mean paired difference is zero, two-sided.

    Right-or-wrong scores: McNemar's exact test. Graded or grouped ones: a permutation test that swaps the two models
    on whole rows (or groups).
    """
    if groups is None and bool(np.isin(differences, (-1.0, 0.0, 1.0)).all()):
        return _mcnemar(int((differences > 0).sum()), int((differences < 0).sum()))
    sums, _ = group_sums(differences, groups)
    return _swap_test(sums[sums != 0])


def holm(p_values: Sequence[float], family: int | None = None) -> list[float]:
    """Return Holm's adjusted p values, in the order given.

    `family` is the number of tests that were open to choice, at least as many as were made: tests not made count as
    not rejected, which is conservative.
    """
    tests = max(family or 0, len(p_values))
    adjusted = [1.0] * len(p_values)
    so_far = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        so_far = max(so_far, min(1.0, (tests - rank) * p_values[place]))
        adjusted[place] = so_far
    return adjusted


def best_against_rest(p_values: Sequence[float]) -> list[float]:
    """Adjust the tests of the highest-scoring model against every other one.

    The best was chosen by looking, so each single claim is corrected over all pairs (Holm). The one claim that it
    beats *every* other needs no correction: it stands when the weakest test stands (Gutmann and Maymin, Ann. Stat.
    15, 1987; Hung and Fithian, Ann. Stat. 47, 2019), hence the largest p value is a bound for each.
    """
    weakest = max(p_values, default=1.0)
    return [min(adjusted, weakest) for adjusted in holm(p_values, pairs_of(len(p_values) + 1))]


def pairs_of(models: int) -> int:
    """Return how many pairs so many models make: the looks that picking the best takes."""
    return models * (models - 1) // 2


def detectable(standard_error: float, tests: int = 1) -> float:
    """Return the true difference that shows in four of five samples with this standard error.

    It must show at 5 %, two-sided, also when it is one of `tests` looks (Bonferroni).
    """
    return _reach(tests) * standard_error


def rows_needed(difference: float, standard_error: float, n: int, tests: int = 1) -> int | None:
    """Return the rows that would show `difference` in four of five samples; None when there is none to show.

    `standard_error` is that of `n` rows; `tests` as for `detectable`.
    """
    return None if difference == 0 else ceil(n * (_reach(tests) * standard_error / difference) ** 2)


def standard_error(differences: Scores, groups: Sequence[str] | None = None) -> float:
    """Return the standard error of a mean paired difference, on the same footing as its interval.

    Right-or-wrong scores, and samples that are all alike, get one row added at either extreme: a sample without any
    disagreement is not infinitely precise.
    """
    sums, counts = group_sums(differences, groups)
    means = sums / counts
    right_or_wrong = groups is None and bool(np.isin(differences, (-1.0, 0.0, 1.0)).all())
    if right_or_wrong or np.ptp(means) == 0:
        padded = np.append(means, (-1.0, 1.0))
        return float(padded.std() / np.sqrt(padded.size))
    return float(means.std(ddof=1) / np.sqrt(means.size))


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


@lru_cache(maxsize=4_096)  # the same few counts come again and again, and scipy takes its time
def _mcnemar(better: int, worse: int) -> float:
    from scipy.stats import binomtest

    return float(binomtest(better, better + worse).pvalue) if better + worse else 1.0


def _swap_test(sums: Scores) -> float:
    from scipy.stats import permutation_test

    if sums.size < 2:
        return 1.0
    tested = permutation_test(
        (sums,),
        lambda values, axis: values.sum(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=RESAMPLES,
        batch=1_000,
        rng=seeded(sums),
    )
    return float(tested.pvalue)


def _reach(tests: int) -> float:
    from scipy.stats import norm

    return float(norm.ppf(1 - ALPHA / 2 / tests) + norm.ppf(POWER))
