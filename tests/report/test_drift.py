"""Drift: a drop is claimed only where the same rows show it."""

from pareta_client import EvalRun
from pareta_report.drift import drift_since, quality_over_time, quality_points
from tests.report.runs import right, run, scored


def later(*results: dict[str, object]) -> EvalRun:
    return run(*results, id="run_2")


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
