"""What the statistics promise, checked by enumerating or simulating many samples."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from pareta_report import intervals, significance
from tests.report.runs import graders

TOLERANCE = 0.015


def disagreements(better: int, worse: int, rows: int) -> intervals.Scores:
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
    [(50, 0.2, 0.1), (100, 0.1, 0.1), (100, 0.2, 0.05), (120, 0.3, 0.2), (150, 0.1, 0.05)],
)
def test_paired_intervals_cover_the_truth_in_95_of_100_samples(rows: int, p_better: float, p_worse: float) -> None:
    assert exact_coverage(rows, p_better, p_worse) == pytest.approx(0.95, abs=TOLERANCE)


@pytest.mark.parametrize(("rows", "p_better", "p_worse"), [(20, 0.05, 0.05), (50, 0.02, 0.02), (40, 0.1, 0.0)])
def test_with_hardly_any_disagreement_paired_intervals_err_on_the_wide_side(
    rows: int, p_better: float, p_worse: float
) -> None:
    assert exact_coverage(rows, p_better, p_worse) >= 0.95 - TOLERANCE


def test_graded_intervals_cover_the_truth_in_95_of_100_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intervals, "RESAMPLES", 999)
    rng = np.random.default_rng(11)
    truth = 5 / 7 - 3 / 5
    samples = (rng.beta(5, 2, 100) - rng.beta(3, 2, 100) for _ in range(1_000))
    covered = sum(low <= truth <= high for low, high in map(intervals.of_difference, samples))
    assert covered / 1_000 == pytest.approx(0.95, abs=TOLERANCE)


def test_grouped_intervals_cover_the_truth_where_naive_ones_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intervals, "RESAMPLES", 499)
    rng = np.random.default_rng(12)
    groups = [str(document) for document in range(60) for _ in range(4)]
    grouped = naive = 0
    for sample in range(600):
        values = np.repeat(rng.uniform(-0.6, 0.6, 60), 4) + rng.uniform(-0.2, 0.2, 240)
        low, high = intervals.of_difference(values, groups)
        grouped += low <= 0 <= high
        if sample < 100:
            low, high = intervals.of_difference(values)
            naive += low <= 0 <= high
    assert grouped / 600 == pytest.approx(0.95, abs=TOLERANCE)
    assert naive / 100 < 0.85


@pytest.mark.parametrize(("rows", "disagreeing"), [(30, 0.2), (100, 0.1), (100, 0.4), (150, 0.05)])
def test_mcnemar_is_wrong_about_equal_models_at_most_five_times_in_100(rows: int, disagreeing: float) -> None:
    wrong = sum(
        float(stats.binom.pmf(n, rows, disagreeing) * stats.binom.pmf(better, n, 0.5))
        for n in range(rows + 1)
        for better in range(n + 1)
        if stats.binom.pmf(n, rows, disagreeing) > 1e-9
        if significance.p_of_no_difference(disagreements(better, n - better, rows)) <= significance.ALPHA
    )
    assert wrong <= 0.05


@pytest.mark.parametrize("models", [3, 5, 8])
def test_among_equal_models_any_claim_at_all_is_made_at_most_five_times_in_100(models: int) -> None:
    rng = np.random.default_rng(models)
    claims = 0
    for _ in range(600):
        scores = sorted((np.array(s) for s in graders(rng, 120, *[0.8] * models)), key=np.mean, reverse=True)
        p_values = [significance.p_of_no_difference(scores[0] - other) for other in scores[1:]]
        claims += min(significance.best_against_rest(p_values)) <= significance.ALPHA
    assert claims / 600 <= 0.05


def test_the_swap_test_is_wrong_about_equal_models_at_most_five_times_in_100(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(significance, "RESAMPLES", 999)
    rng = np.random.default_rng(13)
    samples = (rng.beta(5, 2, 60) - rng.beta(5, 2, 60) for _ in range(500))
    wrong = sum(significance.p_of_no_difference(sample) <= significance.ALPHA for sample in samples)
    # Two standard errors above five: the test is exact, the simulation is not.
    assert wrong / 500 <= 0.05 + 2 * (0.05 * 0.95 / 500) ** 0.5


def test_the_number_of_rows_said_to_be_needed_shows_the_difference_in_four_of_five_samples() -> None:
    rng = np.random.default_rng(14)
    pilot = rng.choice([1.0, -1.0, 0.0], size=20_000, p=[0.15, 0.08, 0.77])
    error = significance.standard_error(pilot)
    needed = significance.rows_needed(0.07, error, pilot.size)
    assert needed is not None
    samples = rng.choice([1.0, -1.0, 0.0], size=(600, needed), p=[0.15, 0.08, 0.77])
    shown = sum(significance.p_of_no_difference(sample) <= significance.ALPHA for sample in samples)
    assert shown / 600 == pytest.approx(significance.POWER, abs=0.06)
    assert significance.detectable(error * (pilot.size / needed) ** 0.5) == pytest.approx(0.07, rel=0.01)
