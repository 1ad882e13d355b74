import numpy as np
import pytest

from pareta_report import Comparison, ComparisonContext, failed_comparison, judge
from tests.report.runs import graders, published, right, run, scored


def judged(*results: dict[str, object]) -> Comparison:
    return judge("licences", "classify", run(*results))


def test_a_clearly_better_model_wins() -> None:
    comparison = judged(scored("weak", right(50, 100)), scored("strong", right(95, 100)))
    assert (comparison.verdict.kind, comparison.verdict.winner) == ("winner", "strong")
    assert comparison.verdict.sentence.startswith("strong is better than weak: 95.0")


def test_a_known_better_model_wins_and_two_equal_ones_are_not_told_apart() -> None:
    won = level = 0
    for seed in range(50):
        strong, weak, weak_again = graders(np.random.default_rng(seed), 200, 0.9, 0.7, 0.7)
        won += judged(scored("strong", strong), scored("weak", weak)).verdict.winner == "strong"
        level += judged(scored("a", weak), scored("b", weak_again)).verdict.kind == "not_distinguishable"
    assert won >= 49
    assert level >= 46


def test_the_same_answers_twice_are_not_distinguishable() -> None:
    comparison = judged(scored("a", right(80, 100)), scored("b", right(80, 100)))
    assert comparison.verdict.kind == "not_distinguishable"
    (pair,) = comparison.differences
    assert pair.difference == 0
    assert pair.ci_low is not None
    assert pair.ci_low < 0 < (pair.ci_high or 0), "no disagreement in 100 rows is no proof that there never is one"


def test_rows_without_an_answer_are_a_share_of_their_own_and_decide_nothing() -> None:
    comparison = judged(scored("flaky", [1.0] * 60 + [None] * 40), scored("steady", right(90, 100)))
    flaky = next(score for score in comparison.scores if score.model == "flaky")
    assert (flaky.right, flaky.wrong, flaky.no_answer) == (0.6, 0.0, 0.4)
    assert (flaky.answered_quality, flaky.errors, flaky.n) == (1.0, 40, 100)
    assert comparison.verdict.winner is None
    assert "40 rows without an answer could decide it; run them again" in comparison.verdict.sentence
    assert any("Rows without an answer: flaky (40 rows)." in note for note in comparison.notes)


def test_a_model_so_far_ahead_that_rows_without_an_answer_cannot_change_it_wins() -> None:
    comparison = judged(scored("flaky", [1.0] * 10 + [0.0] * 80 + [None] * 10), scored("steady", right(90, 100)))
    assert comparison.verdict.winner == "steady"
    assert comparison.differences[0].ci_low is not None
    assert comparison.differences[0].ci_low > 0


def test_a_score_beside_an_error_is_not_counted() -> None:
    result = scored("lucky", [1.0, 1.0])
    result["per_item"] = [{"idx": 0, "score": 1.0, "error": None}, {"idx": 1, "score": 1.0, "error": "cut off"}]
    assert judged(result).scores[0].quality == 0.5


def test_perfect_on_a_part_of_the_rows_is_not_taken_for_perfect() -> None:
    partial = scored("partial", [1.0] * 10, quality_mean=0.6, n_succeeded=100)
    comparison = judged(partial, scored("whole", right(80, 100)))
    assert next(s for s in comparison.scores if s.model == "partial").quality == 0.6
    assert comparison.differences[0].method == "published"


def test_a_row_that_a_model_has_no_result_for_is_one_without_an_answer() -> None:
    late = scored("late", right(60, 60))
    items = late["per_item"]
    assert isinstance(items, list)
    late["per_item"] = [item | {"idx": item["idx"] + 40} for item in items]
    comparison = judged(late, scored("early", right(50, 60)))
    assert [(s.model, s.quality, s.no_answer) for s in comparison.scores] == [("late", 0.6, 0.4), ("early", 0.5, 0.4)]
    (pair,) = comparison.differences
    assert (pair.n, pair.rerun) == (100, 80)
    assert pair.answered is not None
    assert (pair.answered.n, pair.answered.difference) == (20, 0.5)


def test_ranking_and_comparison_never_contradict_each_other_where_models_were_scored_on_different_rows() -> None:
    # Easy rows are 0 to 49: on them everybody is right. Ranked by its own rows, `easy` would lead.
    easy = scored("easy", [1.0] * 50 + [0.0] * 10)
    hard = scored("hard", [1.0] * 50 + [1.0, 0.0] * 25)
    comparison = judged(easy, hard)
    assert comparison.scores[0].model == "hard"
    assert comparison.differences[0].difference == comparison.scores[0].quality - comparison.scores[1].quality  # type: ignore[operator]


def test_rows_that_errored_and_were_left_out_of_the_scores_are_known_by_the_counts() -> None:
    cut = scored("cut", right(130, 140), n_succeeded=140, error_count=60)
    comparison = judged(cut, scored("whole", right(150, 200)))
    score = next(score for score in comparison.scores if score.model == "cut")
    assert (score.n, score.errors, score.right) == (200, 60, 0.65)


def test_the_winner_of_a_comparison_is_ahead_by_more_than_the_margin() -> None:
    results = scored("a", right(9_950, 10_000)), scored("b", right(9_900, 10_000))
    assert judge("x", None, run(*results), ComparisonContext(margin=0.001)).verdict.winner == "a"
    level = judge("x", None, run(*results)).verdict
    assert (level.kind, level.winner) == ("not_distinguishable", None)
    assert "only 0.5 points ahead of b" in level.sentence
    assert "less than the margin of 2.0 points" in level.sentence


def test_a_lead_that_is_printed_as_zero_is_no_win_even_without_a_margin() -> None:
    results = scored("a", right(20_000, 20_000)), scored("b", right(19_991, 20_000))
    verdict = judge("x", None, run(*results), ComparisonContext(margin=0.0)).verdict
    assert verdict.winner is None


def test_of_23_graded_models_the_one_60_points_behind_is_told_apart() -> None:
    rng = np.random.default_rng(23)
    models = [scored(f"m{n}", rng.uniform(0.7, 0.9, 100).tolist()) for n in range(22)]
    comparison = judged(*models, scored("poor", rng.uniform(0.1, 0.3, 100).tolist()))
    assert comparison.standing("poor") == "worse"
    groups = {row: str(row // 4) for row in range(100)}
    grouped = judge("x", None, run(*models, scored("poor", [0.2] * 100)), ComparisonContext(groups=groups))
    assert grouped.standing("poor") == "worse"


def test_rows_with_the_same_input_count_as_one() -> None:
    rows = [{"input": "the same"}] * 90 + [{"input": f"another {n}"} for n in range(10)]
    comparison = judge(
        "x", None, run(scored("a", right(100, 100)), scored("b", right(10, 100))), ComparisonContext(rows=rows)
    )
    assert comparison.groups == 11
    assert comparison.verdict.winner is None


def test_a_service_figure_that_differs_from_the_mean_score_is_pointed_out() -> None:
    comparison = judged(scored("a", right(80, 100), quality_mean=0.61), scored("b", right(50, 100), quality_mean=0.5))
    assert any("publishes other figures (a 61.0" in note for note in comparison.notes)
    assert comparison.scores[0].published_quality == 0.61


def test_overlapping_published_intervals_are_not_distinguishable_and_the_sentence_says_by_what() -> None:
    comparison = judged(published("a", 0.9, 0.84, 0.96), published("b", 0.86, 0.79, 0.93))
    assert comparison.verdict.kind == "not_distinguishable"
    assert "by the published intervals, without per-row scores" in comparison.verdict.sentence


def test_published_intervals_far_apart_have_a_winner() -> None:
    comparison = judged(published("a", 0.9, 0.87, 0.93), published("b", 0.6, 0.5, 0.7))
    assert comparison.verdict.winner == "a"


def test_a_published_winner_is_taken_at_its_worst_when_rows_errored() -> None:
    flaky = published("a", 0.9, 0.87, 0.93, n_succeeded=60, error_count=40)
    assert judged(flaky, published("b", 0.6, 0.5, 0.7)).verdict.kind == "not_distinguishable"


def test_a_published_outage_of_the_baseline_makes_no_winner() -> None:
    counts = {"n_succeeded": 140, "error_count": 60}
    baseline = published("summit", 0.67, 0.6, 0.74, kind="frontier", **counts)
    comparison = judged(published("wren", 0.85, 0.8, 0.9, n_succeeded=200), baseline)
    assert comparison.verdict.winner is None
    assert comparison.recommendation is not None
    assert [standing.word for standing in comparison.recommendation.standings] == ["open"]


def test_without_intervals_nothing_is_distinguishable() -> None:
    comparison = judged(published("a", 0.99), published("b", 0.01))
    assert comparison.verdict.kind == "not_distinguishable"
    assert "the service gave no intervals" in comparison.verdict.sentence
    assert comparison.differences[0].p_value is None


def test_a_model_that_was_not_scored_keeps_the_others_from_winning() -> None:
    comparison = judged(scored("a", right(95, 100)), scored("b", right(20, 100)), published("ghost", None))
    assert comparison.verdict.kind == "not_distinguishable"
    assert "ghost could not be scored" in comparison.verdict.sentence
    assert comparison.scores[-1].model == "ghost"


def test_one_model_alone_is_no_comparison() -> None:
    verdict = judged(scored("only", right(9, 10))).verdict
    assert verdict.kind == "no_data"
    assert "Only only was scored (90.0" in verdict.sentence


def test_nothing_scored_is_no_data() -> None:
    assert judged().verdict.kind == "no_data"
    assert judged(published("a", None)).verdict.kind == "no_data"


def test_a_failed_run_is_reported_with_its_reason_and_no_verdict() -> None:
    failed = judge(
        "x", None, run(scored("a", [1.0]), scored("b", [0.0]), status="failed", error_detail="out of credit")
    )
    assert (failed.status, failed.error, failed.verdict.kind) == ("failed", "out of credit", "no_data")
    assert len(failed.scores) == 2


def test_an_empty_record_of_a_run_does_not_raise() -> None:
    empty = judge("x", None, type(run()).model_validate({}))
    assert empty.status == "failed"


def test_fields_of_unexpected_types_do_not_raise() -> None:
    odd = {
        "model_id": 7,
        "kind": "alien",
        "quality_mean": "high",
        "mean_cost_micro_usd": {"usd": 1},
        "error_count": "0",
    }
    (score,) = judged(odd).scores
    assert (score.model, score.kind, score.quality, score.mean_cost_micro_usd) == ("7", None, None, None)


def test_a_comparison_that_raised_stands_beside_the_others() -> None:
    failed = failed_comparison("invoices", "extract", ValueError("rows.jsonl line 3 has no 'expected'"), "run_9")
    assert (failed.status, failed.run_id) == ("failed", "run_9")
    assert failed.error == "ValueError: rows.jsonl line 3 has no 'expected'"
    assert "line 3" in failed.verdict.sentence


def test_the_cheapest_of_the_indistinguishable_is_named_with_its_price() -> None:
    comparison = judged(
        scored("dear", right(90, 100), cost=4_000),
        scored("cheap", right(89, 100), cost=120),
        scored("mid", right(88, 100)),
    )
    assert "The cheapest of them, mid ($0.10 per 1,000 requests)" in comparison.verdict.sentence


def test_an_unknown_cost_is_admitted() -> None:
    comparison = judged(scored("a", right(90, 100), cost=None), scored("b", right(89, 100)))
    assert "a cost is missing" in comparison.verdict.sentence


def test_too_few_rows_are_called_so_with_the_number_that_would_do() -> None:
    sentence = judged(scored("a", right(9, 12)), scored("b", right(8, 12))).verdict.sentence
    assert "Too few rows: 12 rows" in sentence
    assert "to detect the observed one takes about" in sentence


def test_models_behind_are_named_and_those_level_are_not_among_them() -> None:
    sentence = judged(
        scored("a", right(96, 100)), scored("b", right(95, 100)), scored("c", right(20, 100))
    ).verdict.sentence
    assert "not distinguishable from b" in sentence
    assert "c is worse" in sentence


def test_the_two_highest_disagreements_are_kept_with_both_answers() -> None:
    comparison = judged(
        scored("a", [1.0, 1.0, 0.0], predictions=["x", "y", "z"]),
        scored("b", [1.0, 0.0, 0.0], predictions=["x", "n", "z"]),
    )
    (row,) = comparison.disagreements
    assert (row.idx, row.best_prediction, row.other_prediction) == (1, "y", "n")


def test_rows_of_one_group_count_once() -> None:
    scores = {"a": right(60, 100), "b": right(50, 100)}
    results = [scored(name, values) for name, values in scores.items()]
    alone = judge("x", None, run(*results))
    together = judge(
        "x", None, run(*results), context=ComparisonContext(groups={row: str(row // 10) for row in range(100)})
    )
    assert alone.verdict.kind == "winner"
    assert together.verdict.kind == "too_few_rows", "ten rows of one document are one piece of evidence"


def test_of_groups_that_differ_much_in_size_it_is_not_said_what_they_show() -> None:
    rng = np.random.default_rng(9)
    results = [scored(name, rng.uniform(0.4, 0.9, 400).round(2).tolist()) for name in "ab"]
    alike = judge("x", None, run(*results), ComparisonContext(groups={row: str(row // 4) for row in range(400)}))
    uneven = judge("x", None, run(*results), ComparisonContext(groups={row: str(min(row, 100)) for row in range(400)}))
    assert alike.differences[0].detectable is not None
    assert (uneven.differences[0].groups, uneven.differences[0].detectable) == (101, None)
    assert uneven.differences[0].verdict == "not distinguishable"


def test_a_comparison_survives_a_trip_through_json() -> None:
    comparison = judged(scored("a", right(90, 100)), scored("b", [0.5] * 100), published("c", 0.7, 0.6, 0.8))
    assert Comparison.model_validate_json(comparison.model_dump_json()) == comparison


def test_the_same_run_gives_the_same_judgement() -> None:
    rng = np.random.default_rng(7)
    graded = [scored(name, rng.uniform(size=80).tolist()) for name in "abc"]
    assert judged(*graded) == judged(*graded)


@pytest.mark.parametrize("bad", ["nan", "inf"])
def test_a_figure_that_is_no_number_counts_as_missing(bad: str) -> None:
    assert judged(published("a", float(bad))).scores[0].quality is None
