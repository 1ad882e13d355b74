import numpy as np
import pytest

from pareta_report import Comparison, Difference, ModelScore, judge
from pareta_report.comparison.tradeoff import flip_price
from pareta_report.comparison.valid_results import Candidate
from tests.report.runs import published, right, run, scored


def priced(**models: tuple[int, float | None]) -> Comparison:
    """Judge models that got so many of 100 rows right at such a cost."""
    return judge("x", None, run(*(scored(name, right(n, 100), cost=cost) for name, (n, cost) in models.items())))


def by_name(comparison: Comparison) -> dict[str, ModelScore]:
    return {score.model: score for score in comparison.scores}


def test_the_front_holds_whoever_no_other_beats_in_both() -> None:
    scores = by_name(priced(cheap=(60, 10), good=(90, 100), waste=(80, 200)))
    assert {name for name, score in scores.items() if score.on_pareto_front} == {"cheap", "good"}


def test_a_dominated_model_is_called_so_by_one_on_the_front() -> None:
    scores = by_name(priced(best=(95, 50), middle=(90, 100), waste=(80, 200)))
    assert scores["waste"].dominated_by == "best"
    assert scores["best"].dominated_by is None


def test_two_models_alike_in_both_do_not_dominate_each_other() -> None:
    assert all(score.on_pareto_front for score in priced(a=(90, 100), b=(90, 100)).scores)


def test_without_a_cost_a_model_is_neither_on_the_front_nor_dominated() -> None:
    score = by_name(priced(known=(90, 100), unknown=(80, None)))["unknown"]
    assert (score.on_pareto_front, score.dominated_by) == (False, None)


def test_savings_are_shares_of_the_best_frontier_models_unit_cost() -> None:
    comparison = judge(
        "x",
        None,
        run(
            scored("open", right(80, 100), cost=250),
            scored("big", right(90, 100), cost=1_000, kind="frontier"),
            scored("bigger", right(85, 100), cost=3_000, kind="frontier"),
        ),
    )
    scores = by_name(comparison)
    assert comparison.baseline == "big"
    assert (scores["open"].saving, scores["bigger"].saving, scores["big"].saving) == (0.75, -2.0, None)


def test_every_model_is_compared_with_the_baseline_and_may_be_better_or_worse() -> None:
    comparison = judge(
        "x",
        None,
        run(
            scored("good", right(99, 100)),
            scored("big", right(80, 100), kind="frontier"),
            scored("alike", right(78, 100)),
            scored("bad", right(20, 100)),
        ),
    )
    found = {pair.model: (pair.difference > 0, pair.distinguishable) for pair in comparison.against_baseline}
    assert found == {"good": (True, True), "alike": (False, False), "bad": (False, True)}
    assert {pair.other for pair in comparison.against_baseline} == {"big"}


def test_without_a_frontier_model_there_is_no_baseline() -> None:
    comparison = priced(a=(90, 100), b=(80, 50))
    assert comparison.baseline is None
    assert all(score.saving is None for score in comparison.scores)


def candidate(model: str, cost: float, low: float | None, high: float | None) -> Candidate:
    return Candidate(model, "open", 0.9, 0.8, 1.0, cost, 100, 0, None, cost_low=low, cost_high=high)


APART = Difference(
    model="a", other="b", method="paired", difference=0.1, ci_low=0.05, ci_high=0.15, distinguishable=True
)


def test_at_the_flip_price_both_models_cost_the_same_all_in_all_and_it_has_an_interval() -> None:
    flip = flip_price(candidate("a", 1_000, 900, 1_100), candidate("b", 100, 80, 120), APART)
    assert flip is not None
    assert 1_000 + flip.flip_price_micro_usd * 0.10 == pytest.approx(100 + flip.flip_price_micro_usd * 0.20)
    assert flip[1:] == pytest.approx((780 / 0.15, 1_020 / 0.05))


def test_a_flip_price_is_the_same_whichever_model_is_named_first() -> None:
    a, b = candidate("a", 1_000, 900, 1_100), candidate("b", 100, 80, 120)
    turned = APART.model_copy(update={"difference": -0.1, "ci_low": -0.15, "ci_high": -0.05})
    assert flip_price(a, b, APART) == flip_price(b, a, turned)


@pytest.mark.parametrize(
    "pair",
    [APART.model_copy(update={"distinguishable": False}), APART.model_copy(update={"ci_low": None})],
    ids=["not distinguishable", "no interval"],
)
def test_a_pair_that_cannot_be_told_apart_has_no_flip_price(pair: Difference) -> None:
    assert flip_price(candidate("a", 1_000, 900, 1_100), candidate("b", 100, 80, 120), pair) is None


def test_without_an_interval_of_the_costs_there_is_no_flip_price() -> None:
    assert flip_price(candidate("a", 1_000, None, None), candidate("b", 100, 80, 120), APART) is None


def test_a_model_better_and_cheaper_has_no_price_to_flip_at() -> None:
    assert flip_price(candidate("a", 100, 80, 120), candidate("b", 1_000, 900, 1_100), APART) is None


@pytest.mark.parametrize("correlation", [-1.0, 0.0, 1.0])
def test_the_interval_of_a_flip_price_covers_it_whatever_the_correlation_of_cost_and_quality(
    correlation: float,
) -> None:
    rng = np.random.default_rng(17)
    luck, own = rng.normal(size=(2, 2_000))
    # The cheaper model's cost is known; the better one is ahead by 10 points and costs 900 micro-USD more.
    costs = 1_000 + 50 * luck
    gains = 0.1 + 0.015 * (correlation * luck + np.sqrt(1 - correlation**2) * own)
    covered = 0
    for cost, gain in zip(costs.tolist(), gains.tolist(), strict=True):
        pair = APART.model_copy(
            update={"difference": gain, "ci_low": gain - 1.96 * 0.015, "ci_high": gain + 1.96 * 0.015}
        )
        flip = flip_price(candidate("a", cost, cost - 98, cost + 98), candidate("b", 100, 100, 100), pair)
        covered += flip is not None and flip.flip_low_micro_usd <= 9_000 <= flip.flip_high_micro_usd
    assert covered / 2_000 >= 0.95 - 2 * (0.05 * 0.95 / 2_000) ** 0.5


def test_an_outage_of_the_best_baseline_puts_no_weaker_one_in_its_place() -> None:
    comparison = judge(
        "x",
        None,
        run(
            scored("open", right(80, 100)),
            scored("big", [1.0] * 60 + [None] * 40, kind="frontier", cost=1_000),
            scored("small", right(80, 100), kind="frontier", cost=500),
        ),
    )
    assert comparison.baseline == "big"
    assert comparison.recommendation is not None
    assert {s.model: s.word for s in comparison.recommendation.standings} == {"open": "open", "small": "open"}


def test_a_figure_of_zero_is_a_figure() -> None:
    comparison = judge(
        "x", None, run(published("free", 0.0, 0.0, 0.1, mean_cost_micro_usd=0), published("a", 0.9, 0.8, 1.0))
    )
    assert by_name(comparison)["free"].on_pareto_front
