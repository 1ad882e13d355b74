"""What the statistics promise, checked by enumerating or simulating many samples.

`python -m benchmarks.claims` runs the whole grid; its table stands in docs/statistics.md.
"""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from pareta_report.stats import bounded_mean as bounded
from pareta_report.stats import intervals, power, significance
from pareta_report.stats.bounded_mean import Scores
from tests.report import simulated
from tests.report.runs import graders, p_of_no_difference

SAMPLES = 1_000
CHANCE = 2 * (0.05 * 0.95 / SAMPLES) ** 0.5
"""Two standard errors of a share of five of 100 samples."""


def disagreements(better: int, worse: int, rows: int) -> Scores:
    return np.array([1.0] * better + [-1.0] * worse + [0.0] * (rows - better - worse))


def exact_coverage(rows: int, p_better: float, p_worse: float) -> float:
    """Sum the probability of every sample whose interval holds the truth."""
    chance = stats.multinomial(rows, [p_better, p_worse, 1 - p_better - p_worse])
    covered = 0.0
    for better, worse in product(range(rows + 1), repeat=2):
        weight = float(chance.pmf([better, worse, rows - better - worse])) if better + worse <= rows else 0.0
        if weight > 1e-7:
            low, high = intervals.of_difference(disagreements(better, worse, rows))
            covered += weight * (low <= p_better - p_worse <= high)
    return covered


@pytest.mark.parametrize(
    ("rows", "p_better", "p_worse"),
    [(20, 0.05, 0.05), (20, 0.3, 0.1), (50, 0.02, 0.02), (40, 0.1, 0.0)],
)
def test_paired_intervals_cover_the_truth_in_at_least_95_of_100_samples(
    rows: int, p_better: float, p_worse: float
) -> None:
    assert exact_coverage(rows, p_better, p_worse) >= 0.95 - 1e-3


@pytest.mark.parametrize("rows", [20, 50, 100, 200])
def test_intervals_of_a_proportion_cover_it_in_at_least_95_of_100_samples_whatever_it_is(rows: int) -> None:
    several = np.arange(rows + 1)
    ends = np.array([intervals.exact(int(right), rows) for right in several])
    for share in np.linspace(0.005, 0.995, 199):
        held = (ends[:, 0] <= share) & (share <= ends[:, 1])
        assert stats.binom.pmf(several, rows, share)[held].sum() >= 0.95


@pytest.mark.parametrize("world", simulated.WORLDS)
@pytest.mark.parametrize("rows", [20, 100, 400])
def test_intervals_of_a_difference_cover_it_in_at_least_95_of_100_samples(world: str, rows: int) -> None:
    assert simulated.coverage(world, "alike", rows, rows, -0.06, SAMPLES) >= 0.95 - CHANCE


@pytest.mark.parametrize("world", simulated.WORLDS)
@pytest.mark.parametrize("sizes", simulated.SIZES)
@pytest.mark.parametrize("groups", [5, 50])
def test_grouped_intervals_cover_the_difference_in_at_least_95_of_100_samples(
    world: str, sizes: str, groups: int
) -> None:
    assert simulated.coverage(world, sizes, groups, 250, -0.06, SAMPLES) >= 0.95 - CHANCE


@pytest.mark.parametrize("rows", [20, 100])
def test_intervals_of_a_graded_mean_cover_it_in_at_least_95_of_100_samples(rows: int) -> None:
    rng = np.random.default_rng(15)
    # Most answers are nearly right, few are not: 0.9 × 0.95 + 0.1 × 0.1.
    scores = np.where(rng.random((SAMPLES, rows)) < 0.1, rng.uniform(0, 0.2, (SAMPLES, rows)), 0.95)
    found = simulated.Samples(scores, np.ones_like(scores))
    held = simulated.p_at_most(found, 0.865, 0.0) > 0.025
    held &= simulated.p_at_most(found._replace(sums=-scores), -0.865, -1.0) > 0.025
    assert held.mean() >= 0.95 - CHANCE


def test_intervals_hold_the_difference_of_all_rows_where_answers_fail_on_the_rows_that_would_have_been_right() -> None:
    rng = np.random.default_rng(16)
    luck = rng.random((SAMPLES, 200))
    # The baseline alone is right on a tenth of the rows, and loses a third of its answers there.
    truth = (luck < 0.05) * 1.0 - (luck > 0.9)
    lost = (luck > 0.9) & (rng.random(luck.shape) < 1 / 3)
    lows, highs = np.where(lost, -1.0, truth), np.where(lost, 0.0, truth)
    low = simulated.p_at_most(simulated.Samples(lows, np.ones_like(lows)), -0.05) > 0.025
    high = simulated.p_at_most(simulated.Samples(-highs, np.ones_like(highs)), 0.05) > 0.025
    assert (low & high).mean() >= 0.95 - CHANCE


@pytest.mark.parametrize(("rows", "disagreeing"), [(30, 0.2), (100, 0.1), (100, 0.4), (150, 0.05)])
def test_mcnemar_is_wrong_about_equal_models_at_most_five_times_in_100(rows: int, disagreeing: float) -> None:
    wrong = sum(
        float(stats.binom.pmf(n, rows, disagreeing) * stats.binom.pmf(better, n, 0.5))
        for n in range(rows + 1)
        for better in range(n + 1)
        if stats.binom.pmf(n, rows, disagreeing) > 1e-9
        if p_of_no_difference(disagreements(better, n - better, rows)) <= significance.ALPHA
    )
    assert wrong <= 0.05


@pytest.mark.parametrize("models", [3, 5, 8])
def test_among_equal_models_any_claim_at_all_is_made_at_most_five_times_in_100(models: int) -> None:
    rng = np.random.default_rng(models)
    claims = 0
    for _ in range(600):
        scores = sorted((np.array(s) for s in graders(rng, 120, *[0.8] * models)), key=np.mean, reverse=True)
        p_values = [p_of_no_difference(scores[0] - other) for other in scores[1:]]
        claims += min(significance.best_against_rest(p_values)) <= significance.ALPHA
    assert claims / 600 <= 0.05


@pytest.mark.parametrize("models", [3, 8])
@pytest.mark.parametrize("groups", [pytest.param(1, marks=pytest.mark.long), 4])
def test_among_equal_graded_models_any_claim_at_all_is_made_at_most_five_times_in_100(models: int, groups: int) -> None:
    rng = np.random.default_rng(models)
    claims, samples = 0, 150
    names = None if groups == 1 else [str(row // groups) for row in range(120)]
    for _ in range(samples):
        hard = np.repeat(rng.uniform(0, 0.4, 120 // groups), groups)
        scores = sorted(
            (np.clip(hard + rng.beta(5, 2, 120) / 2, 0, 1) for _ in range(models)), key=np.mean, reverse=True
        )
        p_values = [p_of_no_difference(scores[0] - other, names) for other in scores[1:]]
        claims += min(significance.best_against_rest(p_values)) <= significance.ALPHA
    assert claims / samples <= 0.05 + 2 * (0.05 * 0.95 / samples) ** 0.5


def test_of_models_all_at_the_margin_any_is_called_as_good_at_most_five_times_in_100() -> None:
    rng = np.random.default_rng(18)
    luck = rng.random((SAMPLES, 8, 200))
    gaps = np.asarray((luck < 0.05) * 1.0 - (luck > 0.9), dtype=np.float64).reshape(-1, 200)
    p = simulated.p_at_most(simulated.Samples(gaps, np.ones_like(gaps)), -0.05)
    smallest = p.reshape(SAMPLES, 8).min(axis=1)
    assert (8 * smallest <= 0.025).mean() <= 0.05 + CHANCE


SHARES = [(0.15, 0.08), (0.3, 0.2), (0.06, 0.0), (0.12, 0.02)]


@pytest.mark.parametrize("tests", [1, 20])
@pytest.mark.parametrize(("better", "worse"), SHARES)
def test_the_rows_said_to_be_needed_show_the_difference_in_four_of_five_samples(
    better: float, worse: float, tests: int
) -> None:
    rows = power.rows_needed(better, worse, tests)
    assert rows is not None
    counts = np.random.default_rng(14).multinomial(rows, [better, worse, 1 - better - worse], 2_000)
    p = [p_of_no_difference(disagreements(b, w, 1)) for b, w, _ in counts.tolist()]
    shown = (np.array(p) <= significance.ALPHA / tests).mean()
    assert shown == pytest.approx(power.POWER, abs=0.05)


@pytest.mark.parametrize("rows", [30, 200])
def test_the_difference_said_to_show_does_in_four_of_five_samples(rows: int) -> None:
    difference = power.detectable(rows, 0.2)
    assert difference is not None
    better, worse = (max(0.2, difference) + difference) / 2, (max(0.2, difference) - difference) / 2
    counts = np.random.default_rng(19).multinomial(rows, [better, worse, 1 - better - worse], 2_000)
    p = [p_of_no_difference(disagreements(b, w, 1)) for b, w, _ in counts.tolist()]
    assert (np.array(p) <= significance.ALPHA).mean() == pytest.approx(power.POWER, abs=0.05)


@pytest.mark.parametrize("world", ["graded", "skewed", "hidden failure", "overdispersed", "whole groups"])
@pytest.mark.parametrize(("at", "tests"), [(0.0, 1), pytest.param(0.0, 20, marks=pytest.mark.long), (-0.05, 1)])
def test_the_groups_said_to_be_needed_show_it_in_four_of_five_samples(world: str, at: float, tests: int) -> None:
    needed, shown = simulated.power_of_needed(world, 400, at, tests, 1_500)
    assert needed > 20
    # Five points, and two standard errors of the simulation.
    assert shown == pytest.approx(power.POWER, abs=0.05 + 0.02)


@pytest.mark.parametrize("world", ["graded", "skewed", "hidden failure", "overdispersed", "whole groups"])
@pytest.mark.parametrize("units", [100, 200])
def test_the_mean_difference_said_to_show_does_in_four_of_five_samples(world: str, units: int) -> None:
    shown = simulated.power_of_detectable(world, units, 1, 1_500)
    assert shown == pytest.approx(power.POWER, abs=0.05 + 0.02)


def test_a_model_at_the_margin_of_the_plan_passes_the_gate_as_often_as_planned() -> None:
    planned = power.of_gate(500, 0.1, 0.05, 3)
    counts = np.random.default_rng(20).multinomial(500, [0.05, 0.05, 0.9], 1_500)
    values = np.tile([1.0, -1.0, 0.0], (1_500, 1))
    units = bounded.Units(values, np.ones_like(values), counts.astype(np.float64))
    passed = (bounded.tail(units, -0.05, -1.0).z <= stats.norm.ppf(0.025 / 3)).mean()
    assert passed == pytest.approx(planned, abs=0.05)
