"""Cost beside quality: intervals on the mean cost, and what a comparison cost per model."""

import numpy as np
import pytest

from pareta_report import ComparisonContext, judge
from pareta_report.comparison.cost import of_mean_cost
from tests.report.runs import items, right, run, scored

ROWS = [{"input": "word " * (1 + n % 7), "expected": "yes"} for n in range(100)]


@pytest.mark.parametrize("rows", [20, 100])
@pytest.mark.parametrize("spread", [0.5, 1.0])
def test_the_interval_of_a_mean_cost_covers_the_truth_on_skewed_lengths(rows: int, spread: float) -> None:
    rng = np.random.default_rng(21)
    samples, covered = 150, 0
    truth = 200 * np.exp(0.5**2 / 2) + 4 * 100 * np.exp(spread**2 / 2)
    for _ in range(samples):
        read = np.ceil(200 * rng.lognormal(0, 0.5, rows)).astype(int)
        written = np.ceil(100 * rng.lognormal(0, spread, rows)).astype(int)
        # Written tokens cost four times as much here; the service tells the mean to the whole micro-USD.
        mean = float(np.round((read + 4 * written).mean()))
        low, high = of_mean_cost(mean, read.tolist(), written.tolist()) or (0.0, 0.0)
        covered += low <= truth <= high
    assert covered / samples >= 0.92 - 2 * (0.95 * 0.05 / samples) ** 0.5


def test_a_cost_of_one_micro_usd_may_be_off_by_its_rounding() -> None:
    low, high = of_mean_cost(1.0, [10] * 50, [2] * 50) or (1.0, 1.0)
    assert (low, high) == (0.0, 2.0)


def test_tokens_that_are_not_in_the_answer_leave_a_cost_without_an_interval_unless_they_are_told() -> None:
    rows = [{"input": f"word {n}", "expected": "yes"} for n in range(100)]
    told = scored("told", right(90, 100))
    for n, item in enumerate(items(told)):
        item["usage"] = {"prompt_tokens": 100 + n, "completion_tokens": 1 + 900 * (n % 2)}
    silent, open_ = judge("x", None, run(scored("silent", right(80, 100)), told), ComparisonContext(rows=rows)).scores[
        ::-1
    ]
    assert (silent.cost_low_micro_usd, silent.cost_high_micro_usd) == (None, None)
    assert open_.cost_low_micro_usd is not None
    assert open_.cost_low_micro_usd < 95, "hidden tokens are counted"


def test_rows_that_belong_together_make_the_interval_of_the_cost_wider() -> None:
    read = [100] * 50 + [300] * 50
    groups = [str(place // 10) for place in range(100)]
    alone, together = of_mean_cost(50.0, read, [0] * 100), of_mean_cost(50.0, read, [0] * 100, groups)
    assert alone is not None
    assert together is not None
    assert together.high - together.low > 2 * (alone.high - alone.low)


def test_without_the_rows_a_cost_has_no_interval() -> None:
    (score,) = judge("x", None, run(scored("a", right(90, 100)))).scores
    assert (score.mean_cost_micro_usd, score.cost_low_micro_usd, score.cost_high_micro_usd) == (100, None, None)


def test_the_bill_stands_beside_its_estimate_and_a_reused_baseline_costs_nothing() -> None:
    known = ComparisonContext(rows=ROWS, estimates={"a": 9_000.0}, reused={"top": "run_0"})
    results = scored("a", right(90, 100)), scored("top", right(95, 100), kind="frontier", cost=4_000)
    comparison = judge("x", None, run(*results), known)
    bills = {s.model: (s.estimated_micro_usd, s.billed_micro_usd, s.reused_from) for s in comparison.scores}
    assert bills == {"a": (9_000.0, 10_000.0, None), "top": (None, 0.0, "run_0")}
    assert "Reused from earlier runs on the same rows: top (from run_0)." in comparison.notes


def test_a_disagreement_shows_what_was_asked_and_expected() -> None:
    known = ComparisonContext(rows=[{"input": {"document": "Fine?"}, "expected": "yes"}, ROWS[0]])
    (row,) = judge("x", None, run(scored("a", [1.0, 1.0]), scored("b", [0.0, 1.0])), known).disagreements
    assert (row.input, row.expected) == ("Fine?", "yes")


def test_the_verdict_says_what_may_take_the_baselines_place_and_what_that_saves() -> None:
    results = [
        scored("top", right(180, 200), kind="frontier", cost=4_000),
        scored("good", right(178, 200), cost=400),
        scored("poor", right(60, 200), cost=40),
    ]
    said = judge("x", None, run(*results)).verdict.against_baseline
    assert said is not None
    assert said.startswith("Stay with top: no model is shown to be within 2.0 points of the baseline top. Worse: poor.")
    assert "Open: good (about 1,600 rows would show it to be as good within 2.0 points" in said
    said = judge("x", None, run(*results), ComparisonContext(margin=0.05)).verdict.against_baseline
    assert said is not None
    assert said.startswith("The cheapest within 5.0 points of the baseline top: good (at most 4.0")
    assert " points worse), saves 90.0\u00a0% of the cost. As good (within 5.0 points): good. Worse: poor." in said


def test_nothing_is_claimed_that_the_interval_does_not_show() -> None:
    # Every group says the same: the test is sure, while the interval knows that ten groups are few.
    groups = {row: str(row // 10) for row in range(100)}
    results = scored("a", [0.51] * 100), scored("b", [0.5] * 100)
    (pair,) = judge("x", None, run(*results), ComparisonContext(groups=groups)).differences
    assert pair.ci_low is not None
    assert pair.ci_low < 0
    assert not pair.distinguishable
