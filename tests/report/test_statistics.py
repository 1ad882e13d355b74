"""The figures agree with scipy's own and with published formulas."""

import numpy as np
import pytest
from scipy import stats

from pareta_report import intervals, significance
from pareta_report.intervals import Scores


def graded(seed: int, rows: int = 120) -> Scores:
    rng = np.random.default_rng(seed)
    return np.clip(rng.beta(4, 2, rows) - rng.beta(3, 2, rows), -1, 1)


def test_the_bootstrap_interval_is_scipys_bca_of_the_mean() -> None:
    values = graded(1)
    reference = stats.bootstrap((values,), np.mean, n_resamples=9_999, method="BCa", rng=intervals.seeded(values))
    ours = intervals.of_difference(values)
    assert ours.low == pytest.approx(reference.confidence_interval.low, abs=1e-9)
    assert ours.high == pytest.approx(reference.confidence_interval.high, abs=1e-9)


def test_the_paired_interval_is_bonett_and_prices() -> None:
    n, better, worse = 80, 13, 5
    values = np.array([1.0] * better + [-1.0] * worse + [0.0] * (n - better - worse))
    p12, p21 = (better + 1) / (n + 2), (worse + 1) / (n + 2)
    half = stats.norm.ppf(0.975) * np.sqrt((p12 + p21 - (p12 - p21) ** 2) / (n + 2))
    assert intervals.of_difference(values) == pytest.approx((p12 - p21 - half, p12 - p21 + half))


def test_the_interval_of_a_proportion_is_scipys_wilson() -> None:
    bounds = stats.binomtest(37, 40).proportion_ci(method="wilson")
    scores = np.array([1.0] * 37 + [0.0] * 3)
    assert intervals.of_mean(scores) == pytest.approx((bounds.low, bounds.high))


def test_mcnemar_is_the_exact_binomial_test_of_the_disagreements() -> None:
    values = np.array([1.0] * 9 + [-1.0] * 2 + [0.0] * 30)
    assert significance.p_of_no_difference(values) == pytest.approx(stats.binomtest(9, 11).pvalue)


def test_the_swap_test_agrees_with_the_t_test_on_a_large_sample() -> None:
    values = graded(3, rows=400) - 0.1
    assert significance.p_of_no_difference(values) == pytest.approx(stats.ttest_1samp(values, 0).pvalue, abs=0.02)


def test_the_swap_test_is_exact_on_a_small_sample() -> None:
    # Of the 32 ways to swap five positive differences only two are as extreme.
    assert significance.p_of_no_difference(np.array([0.2, 0.3, 0.1, 0.4, 0.25])) == pytest.approx(2 / 32)


def test_no_disagreement_at_all_is_no_evidence() -> None:
    assert significance.p_of_no_difference(np.zeros(50)) == 1.0
    assert significance.p_of_no_difference(np.array([0.4])) == 1.0


def test_a_uniform_graded_sample_still_has_an_interval_with_a_width() -> None:
    low, high = intervals.of_mean(np.full(20, 0.5))
    assert low < 0.5 < high


def test_holm_corrects_as_in_the_textbook() -> None:
    assert significance.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_a_larger_family_corrects_more() -> None:
    assert significance.holm([0.01], family=10) == pytest.approx([0.1])


def test_adjusted_p_values_keep_their_order_and_never_shrink() -> None:
    raw = [0.2, 0.001, 0.03, 0.6]
    adjusted = significance.holm(raw)
    assert all(a >= p for a, p in zip(adjusted, raw, strict=True))
    assert sorted(range(4), key=adjusted.__getitem__) == sorted(range(4), key=raw.__getitem__)


def test_one_pair_needs_no_correction() -> None:
    assert significance.best_against_rest([0.031]) == [0.031]


def test_beating_every_other_needs_only_the_weakest_test() -> None:
    assert max(significance.best_against_rest([0.04, 0.03, 0.02])) == pytest.approx(0.04)


def test_groups_of_one_row_each_change_nothing_for_graded_scores() -> None:
    values = graded(5, rows=60)
    each = [str(row) for row in range(60)]
    order = np.argsort(each)  # groups are taken in the order of their names
    assert intervals.of_difference(values[order]) == pytest.approx(intervals.of_difference(values[order], sorted(each)))


def test_repeating_every_row_does_not_narrow_a_grouped_interval() -> None:
    values = graded(6, rows=60)
    groups = [str(row) for row in range(60)]
    once = intervals.of_difference(values, groups)
    thrice = intervals.of_difference(np.repeat(values, 3), [group for group in groups for _ in range(3)])
    assert thrice.high - thrice.low == pytest.approx(once.high - once.low, rel=0.05)


def test_groups_must_fit_the_rows() -> None:
    with pytest.raises(ValueError, match="2 group names for 3 rows"):
        intervals.of_difference(np.array([0.1, 0.2, 0.4]), ["a", "b"])


def test_a_published_interval_gives_back_its_standard_error() -> None:
    half = stats.norm.ppf(0.975) * 0.03
    assert significance.standard_error_of(0.8 - half, 0.8 + half) == pytest.approx(0.03)
    assert significance.p_by_normal(0.06, 0.03) == pytest.approx(2 * stats.norm.sf(2))
    assert (significance.p_by_normal(0, 0), significance.p_by_normal(0.1, 0)) == (1.0, 0.0)


def test_the_standard_error_of_graded_scores_is_scipys_own() -> None:
    values = graded(5)
    assert significance.standard_error(values) == pytest.approx(stats.sem(values))


def test_a_difference_that_shows_clearly_is_not_said_to_need_more_rows_than_there_are() -> None:
    groups = [str(row // 8) for row in range(200)]
    values = np.random.default_rng(6).normal(0.014, 0.005, 200)
    error = significance.standard_error(values, groups)
    assert (significance.rows_needed(0.014, error, 200) or 0) < 200
    assert significance.detectable(error) < 0.014
