"""Every model against the baseline in three words, and what is recommended."""

import numpy as np
import pytest

from pareta_report import Comparison, ComparisonContext, Recommendation, judge
from tests.report.runs import published, right, run, scored


def recommended(margin: float = 0.02, /, **models: tuple[list[float | None], float | None]) -> Recommendation:
    results = [
        scored(name, scores, cost=cost, kind="frontier" if name == "top" else "open")
        for name, (scores, cost) in models.items()
    ]
    recommendation = judge("x", None, run(*results), ComparisonContext(margin=margin)).recommendation
    assert recommendation is not None
    return recommendation


def some(right_ones: int, rows: int) -> list[float | None]:
    return [*right(right_ones, rows)]


def words(recommendation: Recommendation) -> dict[str, str]:
    return {standing.model: standing.word for standing in recommendation.standings}


def test_the_cheapest_of_those_as_good_is_recommended_with_what_it_may_lose_and_saves() -> None:
    found = recommended(
        top=(some(950, 1_000), 5_000),
        cheap=(some(945, 1_000), 50),
        cheapest=(some(600, 1_000), 5),
        unclear=([*some(0, 30), *right(945, 970)], 10),
    )
    assert words(found) == {"cheapest": "worse", "unclear": "open", "cheap": "as good"}
    assert found.model == "cheap"
    assert found.sentence.startswith("The cheapest within 2.0 points of the baseline top: cheap (at most 1.")
    assert found.sentence.endswith("saves 99.0\u00a0% of the cost.")
    assert found.at_most is not None
    assert found.at_most <= found.margin


def test_a_model_five_points_worse_is_not_recommended() -> None:
    rng = np.random.default_rng(41)
    named = 0
    for _ in range(40):
        luck = rng.random(300)
        top, worse = (luck < 0.9).astype(float).tolist(), ((luck < 0.82) | (luck > 0.97)).astype(float).tolist()
        named += recommended(top=(top, 5_000), worse=(worse, 50)).model == "worse"
    assert named <= 2


def test_without_a_model_that_is_as_good_the_baseline_stays() -> None:
    found = recommended(top=(some(95, 100), 5_000), unclear=(some(94, 100), 50))
    assert (found.model, words(found)) == ("top", {"unclear": "open"})
    assert found.sentence == "Stay with top: no model is shown to be within 2.0 points of the baseline top."
    assert found.standings[0].rows_needed is not None
    assert "rows would show it to be as good" in found.standings[0].reason


@pytest.mark.parametrize("cost", [9_000.0, None])
def test_a_model_that_is_as_good_but_not_cheaper_is_not_recommended(cost: float | None) -> None:
    found = recommended(top=(some(400, 400), 5_000), dear=(some(400, 400), cost))
    assert (found.model, words(found)) == ("top", {"dear": "as good"})
    assert "no model that is known to cost less" in found.sentence


def test_a_baseline_that_got_nothing_right_recommends_nothing() -> None:
    found = recommended(top=(some(0, 400), 5_000), alike=(some(0, 400), 50))
    assert (found.model, words(found)) == (None, {"alike": "open"})
    assert "scores 0.0\u00a0% on the rows it answered; check prompt and scorer" in found.sentence


def test_a_baseline_without_any_answer_recommends_nothing() -> None:
    found = recommended(top=([None] * 400, 5_000), open=(some(400, 400), 50))
    assert (found.model, words(found)) == (None, {"open": "open"})
    assert "answered none of 400 rows; run it again" in found.sentence


def test_worse_needs_no_margin_and_as_good_goes_before_it() -> None:
    # Ten of 4,000 rows worse and never better: shown to be worse, and shown to be within two points.
    found = recommended(top=(some(3_900, 4_000), 5_000), near=(some(3_890, 4_000), 50))
    assert words(found) == {"near": "as good"}
    assert words(recommended(0.0, top=(some(3_900, 4_000), 5_000), near=(some(3_890, 4_000), 50))) == {"near": "worse"}


def test_errors_leave_a_word_open_unless_it_holds_either_way() -> None:
    lost: list[float | None] = [1.0] * 390 + [None] * 10
    assert words(recommended(top=(some(400, 400), 5_000), cut=(lost, 50))) == {"cut": "open"}
    assert words(recommended(0.06, top=(some(400, 400), 5_000), cut=(lost, 50))) == {"cut": "as good"}
    mostly: list[float | None] = [0.0] * 390 + [None] * 10
    assert words(recommended(top=(some(400, 400), 5_000), cut=(mostly, 50))) == {"cut": "worse"}


def test_each_of_many_models_must_show_more() -> None:
    alone = recommended(top=(some(380, 400), 5_000), m0=(some(379, 400), 50))
    rest = {f"m{n}": (some(379, 400), 50.0) for n in range(25)}
    many = recommended(0.02, top=(some(380, 400), 5_000), **rest)
    assert words(alone)["m0"] == "as good"
    assert set(words(many).values()) == {"open"}


def test_holm_calls_a_model_as_good_that_bonferroni_would_not() -> None:
    clear = {f"m{n}": (some(400, 400), 50.0) for n in range(9)}
    found = recommended(0.02, top=(some(400, 400), 5_000), close=(some(398, 400), 40), **clear)
    close = next(standing for standing in found.standings if standing.model == "close")
    assert close.lower is not None
    assert close.lower < -found.margin
    assert (close.word, close.at_most) == ("as good", found.margin)


def test_without_per_row_scores_and_with_groups_nothing_is_as_good() -> None:
    results = (
        published("a", 0.95, 0.94, 0.96, n_succeeded=50_000),
        published("top", 0.95, 0.94, 0.96, n_succeeded=50_000, kind="frontier"),
    )
    recommendation = judge("x", None, run(*results), ComparisonContext(groups={0: "a"})).recommendation
    assert recommendation is not None
    assert [(s.word, s.reason) for s in recommendation.standings] == [
        ("open", "it cannot be compared with the baseline row by row")
    ]


def test_a_comparison_with_standings_survives_a_trip_through_json() -> None:
    comparison = judge("x", None, run(scored("a", [1.0, None]), scored("top", [1.0, 0.0], kind="frontier")))
    assert comparison.recommendation is not None
    assert Comparison.model_validate_json(comparison.model_dump_json()) == comparison
