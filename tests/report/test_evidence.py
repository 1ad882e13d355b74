"""The watch's test: at most one quiet year in twenty alarms, and a drop of ten points is seen within weeks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from pareta_report.stats.e_values import (
    WATCH_ALPHA,
    RunScores,
    e_bh,
    e_values,
    evidence_of_drop,
    poisson_binomial,
    surprises,
)
from tests.examples import share_of
from tests.report.weeks import alarms, delay, year

YEARS = 60
SLACK = 2 * (WATCH_ALPHA * (1 - WATCH_ALPHA) / YEARS) ** 0.5


@pytest.mark.parametrize(
    "alike", [pytest.param(True, marks=pytest.mark.long), False], ids=["rows alike", "some rows are luck"]
)
@pytest.mark.parametrize("errors", [0.0, 0.3], ids=["no errors", "outages"])
def test_at_most_one_quiet_year_in_twenty_alarms(alike: bool, errors: float) -> None:
    rng = np.random.default_rng(1)
    alarmed = sum(alarms([year(rng, 40, alike=alike, errors=errors)]).any() for _ in range(YEARS))
    assert alarmed / YEARS <= WATCH_ALPHA + SLACK


def test_five_models_together_alarm_in_at_most_one_quiet_year_in_twenty() -> None:
    rng = np.random.default_rng(2)
    alarmed = sum(alarms([year(rng, 40) for _ in range(5)]).any() for _ in range(20))
    assert alarmed / 20 <= WATCH_ALPHA + 2 * (WATCH_ALPHA * (1 - WATCH_ALPHA) / 20) ** 0.5


@pytest.mark.parametrize(("rows", "within"), [(100, 7), (200, 3), pytest.param(500, 1, marks=pytest.mark.long)])
def test_a_drop_of_ten_points_after_eight_weeks_is_seen_in_time_in_four_of_five_years(rows: int, within: int) -> None:
    rng = np.random.default_rng(3)
    delays = [delay(year(rng, rows, drop=0.1, after=8, weeks=20), 8) for _ in range(30)]
    assert np.quantile(delays, 0.8) <= within


def test_graded_scores_are_tested_by_simulation() -> None:
    rng = np.random.default_rng(4)
    rows = rng.random(60)

    def graded(worse: float) -> RunScores:
        return RunScores(dict(enumerate(np.clip(rows + 0.1 * rng.standard_normal(60) - worse, 0, 1).tolist())), 60)

    quiet = [graded(0.0) for _ in range(6)]
    assert evidence_of_drop(quiet) < 1 / WATCH_ALPHA
    assert evidence_of_drop([*quiet, graded(0.15), graded(0.15)]) > 1 / WATCH_ALPHA


def test_ten_groups_that_each_say_one_thing_are_ten_rows_and_not_a_hundred() -> None:
    groups = {row: str(row // 10) for row in range(100)}
    then, now = (
        RunScores(dict.fromkeys(range(100), 1.0), 100),
        RunScores({row: float(row >= 30) for row in range(100)}, 100),
    )
    alone, together = surprises([then, now]), surprises([then, now], groups)
    assert alone[0] < -4
    assert -2 < together[0] < 0


@settings(max_examples=share_of(30), deadline=None)
@given(st.integers(1, 60), st.floats(0.01, 0.99), st.data())
def test_trials_that_are_all_alike_are_binomial(trials: int, share: float, data: st.DataObject) -> None:
    most = data.draw(st.integers(0, trials))
    found = poisson_binomial(np.array([share]), np.array([trials]), most)
    assert found == pytest.approx(float(binom.cdf(most, trials, share)), abs=1e-10)


def test_a_product_of_e_values_has_the_mean_one_at_every_look() -> None:
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    weights /= weights.sum()
    both = [
        (float(one), float(other), w * v)
        for one, w in zip(nodes, weights, strict=True)
        for other, v in zip(nodes, weights, strict=True)
    ]
    means = sum((weight * e_values([one, other]) for one, other, weight in both), np.zeros(2))
    assert means == pytest.approx([1.0, 1.0], abs=1e-6)


def test_e_bh_takes_the_k_largest_that_all_exceed_tests_over_alpha_k() -> None:
    assert e_bh([]) == []
    assert e_bh([40.0]) == [1 / 40]
    adjusted = e_bh([100.0, 30.0, 1.0])
    assert adjusted == [pytest.approx(0.03), pytest.approx(0.05), 1.0]


def test_a_run_that_was_down_or_told_no_scores_does_not_hide_the_next_fall() -> None:
    fine = RunScores({row: float(row < 94) for row in range(100)}, 100)
    down, worse = RunScores({}, 100, 100), RunScores({row: float(row < 60) for row in range(100)}, 100)
    for between in (down, RunScores(asked=100, mean=0.94, standard_error=0.02)):
        assert evidence_of_drop([between, fine, between, worse]) > 1 / WATCH_ALPHA
