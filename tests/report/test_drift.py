"""Drift: a drop is claimed only where the same rows show it."""

import pytest

from pareta_client import EvalRun
from pareta_report.comparison.drift import Drift, drift_in, quality_over_time, quality_points, run_scores
from pareta_report.stats.e_values import RunScores
from tests.report.runs import published, right, run, scored


def later(*results: dict[str, object]) -> EvalRun:
    return run(*results, id="run_2")


def drift_since(reference: EvalRun, now: EvalRun) -> Drift:
    return drift_in({str(reference.id): run_scores(reference), str(now.id): run_scores(now)})


def test_the_first_run_begins_the_series() -> None:
    first = run(scored("wren-1", right(190, 200)))
    assert str(drift_since(first, first)) == "The series begins with this run."


def test_a_clear_drop_on_the_same_rows_is_drift() -> None:
    drift = drift_since(run(scored("wren-1", right(190, 200))), later(scored("wren-1", right(150, 200))))
    assert [change.model for change in drift.drifted] == ["wren-1"]
    assert "wren-1 is worse by 20.0 points" in str(drift)


def test_the_same_answers_are_no_drift() -> None:
    drift = drift_since(run(scored("wren-1", right(190, 200))), later(scored("wren-1", right(190, 200))))
    assert drift.drifted == ()
    assert "not distinguishable" in str(drift)


def test_a_rise_is_not_called_drift() -> None:
    drift = drift_since(run(scored("wren-1", right(150, 200))), later(scored("wren-1", right(190, 200))))
    assert (drift.drifted, "better by 20.0 points" in str(drift)) == ((), True)


def test_a_model_that_only_one_run_has_is_left_out() -> None:
    drift = drift_since(run(scored("wren-1", right(150, 200))), later(scored("heron-1", right(190, 200))))
    assert str(drift) == "No model was scored in both runs."


def test_the_series_is_drawn_the_same_every_time() -> None:
    history = [
        *quality_points("2026-11-01T06:00", run(scored("wren-1", right(190, 200)))),
        *quality_points("2026-11-02T06:00", run(scored("wren-1", right(150, 200)))),
    ]
    drawn = quality_over_time(history)
    assert drawn == quality_over_time(history)
    assert "<svg" in drawn


def test_an_interval_that_reaches_down_to_nothing_is_drawn_so() -> None:
    (point,) = quality_points("2026-11-01T06:00", run(scored("wren-1", right(30, 200))))
    to_nothing, to_itself = (point.model_copy(update={"ci_low": low}) for low in (0.0, point.quality))
    assert quality_over_time([to_nothing]) != quality_over_time([to_itself])


def test_the_rows_of_one_group_count_as_one_sample_in_the_series_too() -> None:
    found = run(scored("wren-1", right(30, 60)))
    (rows,), (pages,) = (
        quality_points("now", found),
        quality_points("now", found, {row: str(row // 10) for row in range(60)}),
    )
    assert None not in (rows.ci_low, pages.ci_low)
    assert (pages.ci_low or 0) < (rows.ci_low or 0)


def test_an_outage_is_no_fall_and_a_signal_of_its_own() -> None:
    now: list[float | None] = [1.0] * 150 + [None] * 40 + [0.0] * 10
    drift = drift_since(run(scored("wren-1", right(190, 200))), later(scored("wren-1", now)))
    assert drift.drifted == ()
    (change,), (silent,) = drift.changes, drift.unavailable
    assert (change.difference, change.n) == (0, 160)
    assert (silent.model, silent.unanswered) == ("wren-1", 0.2)
    assert "wren-1 left 20.0\u00a0% of the rows without an answer" in str(drift)


def test_an_outage_of_the_reference_does_not_hide_a_fall() -> None:
    then: list[float | None] = [1.0] * 150 + [None] * 40 + [0.0] * 10
    drift = drift_since(run(scored("wren-1", then)), later(scored("wren-1", right(150, 200)[::-1])))
    assert [change.model for change in drift.drifted] == ["wren-1"]
    assert drift.unavailable == ()


def test_a_single_row_without_an_answer_is_no_outage() -> None:
    then = run(scored("wren-1", right(190, 200)))
    assert drift_since(then, later(scored("wren-1", [*right(190, 199), None]))).unavailable == ()


def test_a_slow_slide_is_told_against_the_first_runs() -> None:
    looks = {f"run_{n}": run_scores(run(scored("wren-1", right(190 - 8 * n, 200)), id=f"run_{n}")) for n in range(8)}
    drift = drift_in(looks)
    assert drift.reference == "run_0"
    (change,) = drift.drifted
    assert change.difference == pytest.approx((190 - 56 - (190 + 182 + 174 + 166) / 4) / 200)


def test_a_series_of_published_means_alarms_only_at_a_clear_drop() -> None:
    def told(quality: float, n: int) -> dict[str, RunScores]:
        result = published("wren-1", quality, quality - 0.04, quality + 0.04)
        return run_scores(run(result, id=f"run_{n}"))

    level = {f"run_{n}": told(0.9, n) for n in range(5)}
    assert drift_in(level).drifted == ()
    assert [each.model for each in drift_in(level | {"last": told(0.7, 9)}).drifted] == ["wren-1"]


def test_the_quality_of_a_series_leaves_out_rows_without_an_answer() -> None:
    (point,) = quality_points("now", run(scored("wren-1", [*right(90, 100), *[None] * 100])))
    assert point.quality == 0.9
    (silent,) = quality_points("now", run(scored("wren-1", [None] * 20)))
    assert silent.quality is None
