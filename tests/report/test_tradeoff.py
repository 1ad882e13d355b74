import pytest

from pareta_report import Comparison, ModelScore, judge
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


def test_at_the_flip_price_both_models_cost_the_same_all_in_all() -> None:
    comparison = priced(good=(90, 1_000), cheap=(80, 100))
    price = comparison.differences[0].flip_price_micro_usd
    assert price is not None
    assert 1_000 + price * 0.10 == pytest.approx(100 + price * 0.20)


def test_a_model_better_and_cheaper_has_no_price_to_flip_at() -> None:
    assert priced(good=(90, 100), bad=(80, 1_000)).differences[0].flip_price_micro_usd is None


def test_a_figure_of_zero_is_a_figure() -> None:
    comparison = judge(
        "x", None, run(published("free", 0.0, 0.0, 0.1, mean_cost_micro_usd=0), published("a", 0.9, 0.8, 1.0))
    )
    assert by_name(comparison)["free"].on_pareto_front
