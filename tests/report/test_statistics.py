"""The figures agree with scipy's own and with published formulas."""

from typing import cast

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import stats

from pareta_report.stats import bounded_mean as bounded
from pareta_report.stats import intervals, power, significance
from pareta_report.stats.bounded_mean import Scores
from tests.report.runs import p_of_no_difference


def graded(seed: int, rows: int = 120) -> Scores:
    rng = np.random.default_rng(seed)
    return np.clip(rng.beta(4, 2, rows) - rng.beta(3, 2, rows), -1, 1)


def disagreements(better: int, worse: int, level: int) -> Scores:
    return np.array([1.0] * better + [-1.0] * worse + [0.0] * level)


def test_holm_corrects_as_in_the_textbook() -> None:
    assert significance.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_mcnemar_is_the_exact_binomial_test_of_the_disagreements() -> None:
    assert p_of_no_difference(disagreements(9, 2, 30)) == pytest.approx(stats.binomtest(9, 11).pvalue)


@pytest.mark.parametrize(("right", "n"), [(20, 20), (15, 20), (97, 100), (1, 3), (990, 1_000)])
def test_the_bound_of_right_or_wrong_scores_is_clopper_and_pearsons(right: int, n: int) -> None:
    units = bounded.units_of(np.array([1.0] * right + [0.0] * (n - right)))
    assert bounded.lower_bound(units, 0.0, 0.025) == pytest.approx(
        stats.beta.ppf(0.025, right, n - right + 1), abs=2e-3
    )


@pytest.mark.parametrize(("better", "worse"), [(6, 0), (9, 2), (20, 10), (3, 3), (0, 4)])
def test_the_bounded_test_of_right_or_wrong_scores_is_mcnemars(better: int, worse: int) -> None:
    units = bounded.units_of(disagreements(better, worse, 30))
    exact = float(stats.binom.sf(better - 1, better + worse, 0.5))
    assert bounded.p_at_most(units, 0.0, -1.0) == pytest.approx(exact, rel=0.06)


@pytest.mark.parametrize("rows", [5, 20, 60])
def test_the_bounded_test_of_graded_scores_is_the_weighted_mean_of_the_sample_and_one_worst_row(rows: int) -> None:
    values, rng = graded(rows, rows), np.random.default_rng(2)
    mean = float(values.mean()) - 0.12
    weights = rng.exponential(size=(200_000, rows + 1))
    simulated = float((weights @ np.append(values - mean, -1 - mean) <= 0).mean())
    assert bounded.p_at_most(bounded.units_of(values), mean, -1.0) == pytest.approx(simulated, rel=0.06)


@given(
    st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]) | st.floats(0, 1), min_size=1, max_size=40),
    st.integers(1, 5) | st.none(),
)
@example([0.0, 2.2250738585e-313], None)
def test_intervals_hold_the_mean_and_stay_where_values_can_be(values: list[float], groups: int | None) -> None:
    scores = np.array(values)
    names = None if groups is None else [str(row // groups) for row in range(scores.size)]
    low, high = intervals.of_mean(scores, names)
    assert 0 <= low <= scores.mean() + 1e-6
    assert scores.mean() - 1e-6 <= high <= 1
    low, high = intervals.of_difference(2 * scores - 1, names)
    assert -1 <= low <= (2 * scores - 1).mean() + 1e-6
    assert (2 * scores - 1).mean() - 1e-6 <= high <= 1
    assert 0 <= p_of_no_difference(2 * scores - 1, names) <= 1


@given(
    st.lists(st.sampled_from([-1.0, 0.0, 0.25, 1.0]) | st.floats(-1, 1), min_size=1, max_size=40),
    st.sampled_from([bounded.BOUND_TOLERANCE - 1, -0.5, 0.0, 1e-300]) | st.floats(-0.999, 1),
)
@example([0.25, -0.5, -0.5, -0.5, -0.5], 0.0)  # at its first point the line is level
@example([0.0, 0.0], -1 / 3)  # the zero is smaller than the rounding errors
@example([0.0, 0.0, 0.0, 1e-308, 1 - 2**-53, 1.0, -1.0], 0.0)
def test_a_saddlepoint_is_found_in_few_steps_wherever_it_is(values: list[float], mean: float) -> None:
    units = bounded.units_of(np.array(values))
    expected = bounded.tail(units, mean, -1.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bounded, "MAX_STEPS", 20)
        assert bounded.tail(units, mean, -1.0) == expected
    if not np.isinf(expected.z):
        values_at, weights = bounded.centred(units, mean, -1.0)
        terms = weights * values_at / (1 - expected.tilt * values_at)
        assert abs(terms.sum()) <= 1e-7 * np.abs(terms).sum()


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), min_size=2, max_size=40))
def test_whatever_a_row_without_an_answer_would_have_been_the_interval_holds_its_ends(
    rows: list[tuple[bool, bool, bool]],
) -> None:
    # Right or wrong of both models, and whether the second one answered.
    lows = np.array([one - (other if answered else 1.0) for one, other, answered in rows], dtype=np.float64)
    highs = np.array([one - (other if answered else 0.0) for one, other, answered in rows], dtype=np.float64)
    truth = np.array([float(one) - float(other) for one, other, _ in rows])
    low, high = intervals.of_gaps(lows, highs)
    inner = intervals.of_difference(truth)
    assert low <= inner.low + 1e-6
    assert high >= inner.high - 1e-6
    assert significance.p_of_gaps(lows, highs) >= p_of_no_difference(truth) - 1e-9


def test_no_disagreement_at_all_is_no_evidence() -> None:
    assert p_of_no_difference(np.zeros(50)) == 1.0
    assert p_of_no_difference(np.array([0.4])) > 0.5


def test_a_uniform_graded_sample_still_has_an_interval_with_a_width() -> None:
    low, high = intervals.of_mean(np.full(20, 0.5))
    assert low < 0.5 < high


def test_evidence_has_no_floor() -> None:
    """23 models make 253 pairs: a permutation test of 9,999 resamples could show none of them."""
    p = p_of_no_difference(np.random.default_rng(1).uniform(-0.8, -0.4, 60))
    assert p * significance.pairs_of(23) < 0.001


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


def test_groups_of_one_row_each_change_nothing() -> None:
    values = graded(5, rows=60)
    each = [f"{row:02}" for row in range(60)]
    assert intervals.of_difference(values) == pytest.approx(intervals.of_difference(values, each), abs=1e-5)
    assert p_of_no_difference(values) == pytest.approx(p_of_no_difference(values, each))


def test_repeating_every_row_does_not_narrow_a_grouped_interval() -> None:
    values = graded(6, rows=60)
    groups = [str(row) for row in range(60)]
    once = intervals.of_difference(values, groups)
    thrice = intervals.of_difference(np.repeat(values, 3), [group for group in groups for _ in range(3)])
    assert thrice.high - thrice.low == pytest.approx(once.high - once.low, rel=0.01)


def test_of_groups_of_unequal_size_the_spread_is_that_of_a_ratio_of_sums() -> None:
    """Cochran, Sampling Techniques, 3rd ed., section 6.3: with many groups the bound is that of the normal quantile."""
    rng = np.random.default_rng(8)
    sizes = rng.integers(1, 40, 1_600)
    effects = rng.uniform(-0.5, 0.5, 1_600)
    values, groups = np.repeat(effects, sizes), [str(g) for g, size in enumerate(sizes) for _ in range(size)]
    residuals = (effects - values.mean()) * sizes
    error = float(np.sqrt((residuals**2).sum()) / sizes.sum())
    low, high = intervals.of_difference(values, groups)
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.15)
    naive = float(effects.std(ddof=1) / 40)
    assert high - low > 2 * 1.96 * naive


def test_groups_must_fit_the_rows() -> None:
    with pytest.raises(ValueError, match="2 group names for 3 rows"):
        intervals.of_difference(np.array([0.1, 0.2, 0.4]), ["a", "b"])


def test_a_published_interval_gives_back_its_standard_error() -> None:
    half = stats.norm.ppf(0.975) * 0.03
    assert significance.standard_error_of(0.8 - half, 0.8 + half) == pytest.approx(0.03)
    assert significance.p_by_normal(0.06, 0.03) == pytest.approx(2 * stats.norm.sf(2))
    assert (significance.p_by_normal(0, 0), significance.p_by_normal(0.1, 0)) == (1.0, 0.0)


@pytest.mark.parametrize("tests", [1, 20, 253])
def test_the_critical_numbers_of_a_sign_test_are_scipys(tests: int) -> None:
    several = np.arange(2_000)
    expected = np.minimum(stats.binom.isf(0.025 / tests, several, 0.5) + 1, several + 1)
    assert np.array_equal(power._critical(0, 1_999, tests), expected)


@pytest.mark.parametrize(("tests", "fewest"), [(1, 6), (3, 7), (253, 14)])
def test_no_sample_is_said_to_be_enough_that_cannot_reach_the_corrected_level(tests: int, fewest: int) -> None:
    assert power.of_mcnemar(fewest - 1, 1.0, 0.0, tests) == 0
    assert power.of_mcnemar(fewest, 1.0, 0.0, tests) == 1
    assert power.rows_needed(1.0, 0.0, tests) == fewest
    assert cast("int", power.rows_needed_by_normal(1.0, 1e-6, 100, tests)) >= fewest - 1
    assert power.detectable(fewest - 1, 0.2, tests) is None


@pytest.mark.parametrize("groups", [2, 3, 4])
def test_of_fewer_groups_than_can_decide_no_difference_is_said_to_show(groups: int) -> None:
    names = [str(row % groups) for row in range(200)]
    units = bounded.units_of(np.random.default_rng(3).uniform(0.2, 0.4, 200), names)
    assert power.detectable_mean(units) is None
    needed = power.units_needed(units, 0.0, -1.0, 0.025)
    assert needed is not None
    assert needed > groups


def test_a_difference_that_shows_clearly_is_not_said_to_need_more_rows_than_there_are() -> None:
    groups = [str(row // 8) for row in range(1_600)]
    units = bounded.units_of(np.random.default_rng(6).normal(0.03, 0.005, 1_600), groups)
    needed = power.units_needed(units, 0.0, -1.0, 0.025)
    assert needed is not None
    assert needed < 200
    assert cast("float", power.detectable_mean(units)) < 0.03
