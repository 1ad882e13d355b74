"""Invalid values of a result are excluded and named; a declared scale brings scores to 0 to 1."""

from collections.abc import Mapping

import pytest

from pareta_report import Comparison, ComparisonContext, ModelScore, judge
from tests.report.runs import published, right, run, scored

BESIDE = scored("beside", right(80, 100))


def of(result: Mapping[str, object], **known: object) -> tuple[ModelScore, Comparison]:
    comparison = judge("x", None, run(dict(result), BESIDE), ComparisonContext(**known))  # type: ignore[arg-type]
    return next(score for score in comparison.scores if score.model == "odd"), comparison


WRONG: dict[str, tuple[dict[str, object], str]] = {
    "a judge's grades": (
        scored("odd", [1.0, 4.5, 5.0]),
        "row 1 scores 4.5, not between 0 and 1; declare the scale as score_range",
    ),
    "a negative score": (scored("odd", [-0.1, 1.0]), "row 0 scores -0.1, not between 0 and 1"),
    "a count as text": (scored("odd", [1.0] * 3, n_succeeded="3"), "n_succeeded is '3', not a number of rows"),
    "errors as text": (scored("odd", [1.0] * 3, error_count="60"), "error_count is '60', not a number of rows"),
    "a count below zero": (scored("odd", [1.0] * 3, error_count=-1), "error_count is -1, not a number of rows"),
    "a count that is a truth value": (scored("odd", [1.0], n_succeeded=True), "n_succeeded is True"),
    "a published percentage": (published("odd", 90, 85, 95), "its published quality 90 is not between 0 and 1"),
    "a row twice": (
        {**scored("odd", [1.0]), "per_item": [{"idx": 3, "score": 1.0}, {"idx": 3, "score": 0.0}]},
        "duplicate row 3, 2 results",
    ),
    "a row before the first": (
        {**scored("odd", [1.0]), "per_item": [{"idx": -1, "score": 1.0}]},
        "invalid row index -1",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_model_is_excluded_by_name_for(case: str) -> None:
    result, why = WRONG[case]
    score, comparison = of(result)
    assert (score.quality, score.right, score.ci_low) == (None, None, None)
    assert any(note.startswith(f"Excluded for odd: {why}") for note in comparison.notes), comparison.notes
    assert comparison.verdict.winner is None


@pytest.mark.parametrize(
    ("bounds", "why"),
    [
        ((0.95, 0.85), "its published interval 0.95 to 0.85 does not contain its mean"),
        ((0.95, 0.99), "its published interval 0.95 to 0.99 does not contain its mean"),
        ((0.9, 0.9), "its published interval 0.9 to 0.9 has no width"),
        ((0.8, 1.7), "its published interval 0.8 to 1.7 is not between 0 and 1"),
    ],
)
def test_a_published_interval_is_excluded_without_the_mean_for(bounds: tuple[float, float], why: str) -> None:
    score, comparison = of(published("odd", 0.9, *bounds))
    assert (score.quality, score.ci_low, score.ci_high) == (0.9, None, None)
    assert f"Excluded for odd: {why}." in comparison.notes


def test_a_model_listed_twice_is_excluded_and_named_once() -> None:
    comparison = judge("x", None, run(scored("odd", [1.0] * 9), scored("odd", [0.0] * 9), BESIDE))
    assert [score.model for score in comparison.scores] == ["beside", "odd"]
    assert "Excluded for odd: duplicate model, 2 results." in comparison.notes


def test_a_cost_below_zero_is_no_saving() -> None:
    score, comparison = of(scored("odd", right(80, 100), cost=-500))
    assert (score.quality, score.mean_cost_micro_usd, score.saving) == (0.8, None, None)
    assert "Excluded for odd: its cost is -500 micro-USD." in comparison.notes


def test_a_declared_scale_brings_scores_and_published_figures_to_0_to_1() -> None:
    grades = scored("odd", [1.0, 3.0, 5.0, 4.0], quality_mean=3.25)
    comparison = judge("x", None, run(grades, published("b", 3, 2, 5)), ComparisonContext(score_range=(1, 5)))
    odd, other = comparison.scores
    assert (odd.quality, odd.published_quality) == (0.5625, 0.5625)
    assert (other.quality, other.ci_low, other.ci_high) == (0.5, 0.25, 1.0)


def test_a_score_off_the_declared_scale_sets_the_model_aside() -> None:
    comparison = judge("x", None, run(scored("odd", [0.0, 5.0])), ComparisonContext(score_range=(1, 5)))
    assert comparison.scores[0].quality is None
    assert any("row 0 scores 0, not between 1 and 5" in note for note in comparison.notes)


def test_a_score_beside_an_error_is_not_read_whatever_it_is() -> None:
    result = {
        **scored("odd", [1.0, 1.0]),
        "per_item": [{"idx": 0, "score": 1.0}, {"idx": 1, "score": 99, "error": "x"}],
    }
    score, _ = of(result)
    assert (score.right, score.no_answer) == (0.01, 0.99)
