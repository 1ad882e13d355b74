"""The gate: what passes, and what each refusal says."""

from collections.abc import Callable

import numpy as np
import pytest

from pareta_report import Comparison, ComparisonContext, Policy, decide, judge
from tests.report.runs import graders, published, right, run, scored
from tests.report.simulated import SIZES, WORLDS, Samples, false_passes, p_at_most

# All that a policy can be asked to let through.
ANYTHING = Policy(max_loss=1.0, min_rows=1, min_groups=2, min_quality=0, min_baseline_quality=0, max_errors=1)


def compared(open_right: int, frontier_right: int, n: int = 400, *, cost: float = 100) -> Comparison:
    return judge(
        "tickets",
        "routing",
        run(
            scored("wren-1", right(open_right, n), cost=cost),
            scored("summit-pro", right(frontier_right, n), kind="frontier", cost=5_000),
        ),
    )


def test_a_model_as_good_as_the_baseline_passes_and_the_sentence_says_what_it_saves() -> None:
    decision = decide(compared(380, 380), Policy())
    assert (decision.model, decision.passed) == ("wren-1", True)
    assert "saves 98.0" in decision.sentence


def test_a_clearly_worse_model_does_not_pass() -> None:
    decision = decide(compared(300, 380), Policy())
    assert decision.model is None
    assert "points worse than the baseline (2.0 allowed)" in decision.sentence


def test_a_model_that_may_be_too_much_worse_does_not_pass_although_its_score_is_within_the_loss() -> None:
    # Two points behind, five allowed: but fifty rows cannot rule out that it is more than five.
    decision = decide(compared(45, 46, n=50), Policy(min_rows=1, max_loss=0.05))
    assert decision.model is None


def test_too_few_rows_do_not_pass() -> None:
    decision = decide(compared(50, 50, n=50), Policy(min_rows=100))
    assert "50 rows are fewer than the 100 required" in decision.sentence


def test_a_model_that_costs_too_much_does_not_pass() -> None:
    decision = decide(compared(380, 380, cost=900), Policy(max_cost_micro_usd=500))
    assert "$0.90 per 1,000 requests is more than $0.50" in decision.sentence


def test_among_those_that_pass_the_policy_prefers_cost_or_quality() -> None:
    comparison = judge(
        "tickets",
        "routing",
        run(
            scored("cheap", right(395, 400), cost=10),
            scored("good", right(400, 400), cost=50),
            scored("summit-pro", right(396, 400), kind="frontier", cost=5_000),
        ),
    )
    policy = Policy(max_loss=0.05)
    assert decide(comparison, policy).model == "cheap"
    assert decide(comparison, policy.model_copy(update={"prefer": "quality"})).model == "good"


def test_without_a_baseline_nothing_passes() -> None:
    comparison = judge("tickets", "routing", run(scored("wren-1", right(400, 400))))
    assert "no baseline" in decide(comparison, Policy()).sentence


def test_a_failed_comparison_passes_nothing_and_says_why() -> None:
    comparison = judge("tickets", "routing", run(status="failed", error_detail="the worker died"))
    assert decide(comparison, Policy()).sentence == "Nothing passes: the worker died"


def test_with_more_candidates_each_has_to_show_more() -> None:
    # Alone it passes; as one of twelve it may have been lucky.
    baseline = scored("summit-pro", right(380, 400), kind="frontier", cost=5_000)
    alone = judge("x", None, run(scored("wren-0", right(379, 400)), baseline))
    twelve = judge("x", None, run(*(scored(f"wren-{n}", right(379, 400)) for n in range(12)), baseline))
    policy = Policy(max_loss=0.016)
    assert (decide(alone, policy).model, decide(twelve, policy).model) == ("wren-0", None)


def test_a_model_that_loses_more_than_allowed_passes_in_at_most_five_of_100_comparisons() -> None:
    rng = np.random.default_rng(31)
    passed = 0
    for _ in range(12):
        # Four candidates, each exactly as much worse as is no longer allowed.
        top, *others = graders(rng, 300, 0.90, 0.85, 0.85, 0.85, 0.85)
        results = [scored(f"wren-{n}", scores) for n, scores in enumerate(others)]
        comparison = judge("x", None, run(scored("top", top, kind="frontier", cost=5_000), *results))
        passed += decide(comparison, Policy(max_loss=0.05)).passed
    assert passed <= 1


SAMPLES = 1_000
ALLOWED = 0.05 + 2 * (0.05 * 0.95 / SAMPLES) ** 0.5


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("rows", [20, 100, 400])
def test_at_the_margin_at_most_five_of_100_pass(world: str, rows: int) -> None:
    assert false_passes(world, "alike", rows, rows, 0.05, SAMPLES) <= ALLOWED


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("groups", [2, 3, 10, 50])
def test_at_the_margin_at_most_five_of_100_pass_however_the_rows_are_grouped(
    world: str, sizes: str, groups: int
) -> None:
    assert false_passes(world, sizes, groups, 200, 0.1, SAMPLES) <= ALLOWED


@pytest.mark.parametrize("groups", [50, 200])
def test_at_the_margin_at_most_five_of_100_pass_where_only_large_groups_fail(groups: int) -> None:
    rng = np.random.default_rng(groups)
    sizes = np.where(rng.random((SAMPLES, groups)) < 0.1, 25.0, 5.0)
    failing = (sizes > 5) & (rng.random(sizes.shape) < 0.1)
    # Of a mean group of seven rows a quarter of a row fails.
    p = p_at_most(Samples(-sizes * failing, sizes), -0.25 / 7)
    assert (p <= 0.025).mean() <= ALLOWED


def outage(answered_right: int, answered: int, errored: int, candidate: list[float]) -> Comparison:
    """Judge a baseline with an outage on its last rows against a candidate that answered all."""
    baseline = [1.0] * answered_right + [0.0] * (answered - answered_right) + [None] * errored
    return judge("x", None, run(scored("wren", candidate), scored("summit", baseline, kind="frontier", cost=5_000)))


def test_an_outage_of_the_baseline_does_not_make_an_open_model_pass_or_win() -> None:
    # On the 140 rows that both answered the open model is 15.7 points worse, over all rows 11 points ahead.
    comparison = outage(134, 140, 60, [1.0] * 112 + [0.0] * 28 + [1.0] * 44 + [0.0] * 16)
    assert comparison.verdict.winner is None
    assert not decide(comparison, Policy()).passed
    assert not decide(comparison, Policy(max_errors=1, max_loss=0.1)).passed
    assert comparison.recommendation is not None
    (standing,) = comparison.recommendation.standings
    assert (standing.word, standing.rerun) == ("open", 60)
    assert standing.reason.startswith(
        "run the 60 rows without an answer again; on the 140 rows that both answered wren"
    )
    assert "is 15.7 points behind, 95 % interval −22.8 to −9.2" in standing.reason
    (pair,) = comparison.against_baseline
    assert pair.answered is not None
    assert pair.answered.n == 140
    assert pair.answered.difference == pytest.approx(-22 / 140)
    assert pair.answered.ci_high < 0


def test_an_outage_of_the_baseline_does_not_make_an_open_model_pass_on_graded_scores() -> None:
    comparison = outage(134, 140, 60, [0.8] * 140 + [0.75] * 60)
    assert comparison.verdict.winner is None
    assert not decide(comparison, Policy(max_errors=1, max_loss=0.1)).passed
    assert comparison.recommendation is not None
    assert [(s.word, s.rerun) for s in comparison.recommendation.standings] == [("open", 60)]


@pytest.mark.parametrize("side", ["baseline", "candidate"])
def test_more_errors_than_the_policy_allows_do_not_pass_on_either_side(side: str) -> None:
    whole, cut = [1.0] * 400, [1.0] * 370 + [None] * 30
    baseline, candidate = (cut, whole) if side == "baseline" else (whole, cut)
    comparison = judge(
        "x", None, run(scored("wren", candidate), scored("summit", baseline, kind="frontier", cost=5_000))
    )
    decision = decide(comparison, Policy(max_loss=0.2))
    assert not decision.passed
    assert "7.5\u00a0% of its rows have no answer (5.0\u00a0% allowed); run the 30 rows again" in decision.sentence
    assert decide(comparison, Policy(max_loss=0.2, max_errors=0.1)).passed


def test_a_few_errors_count_against_the_candidate_and_for_the_baseline() -> None:
    comparison = outage(390, 390, 10, [1.0] * 400)
    assert decide(comparison, Policy(max_loss=0.02)).passed
    cut = scored("wren", [1.0] * 390 + [None] * 10)
    worse = judge("x", None, run(cut, scored("summit", right(400, 400), kind="frontier", cost=5_000)))
    assert not decide(worse, Policy(max_loss=0.02)).passed
    assert "run the 10 rows without an answer again" in decide(worse, Policy(max_loss=0.02)).sentence


def test_a_baseline_that_does_not_work_lets_nothing_pass() -> None:
    comparison = compared(400, 100)
    assert (
        "the baseline summit-pro does not work: its quality may be as low as 20."
        in decide(comparison, Policy()).sentence
    )
    assert decide(comparison, Policy(min_baseline_quality=0.2)).passed


def test_a_model_below_the_quality_floor_does_not_pass() -> None:
    comparison = compared(360, 360)
    assert decide(comparison, Policy(max_loss=0.05)).passed
    assert "its quality may be as low as 86." in decide(comparison, Policy(max_loss=0.05, min_quality=0.9)).sentence


def test_groups_are_counted_not_rows() -> None:
    groups = {row: str(row // 100) for row in range(1_000)}
    results = scored("wren", right(1_000, 1_000)), scored("summit", right(1_000, 1_000), kind="frontier", cost=5_000)
    decision = decide(judge("x", None, run(*results), ComparisonContext(groups=groups)), Policy(max_loss=1.0))
    assert "10 groups are fewer than the 20 required" in decision.sentence
    # Twenty documents without a failure cannot exclude that one of fifty fails as a whole.
    groups = {row: str(row // 50) for row in range(1_000)}
    twenty = judge("x", None, run(*results), ComparisonContext(groups=groups))
    assert not decide(twenty, Policy()).passed
    assert decide(twenty, Policy(max_loss=0.2)).passed


def test_an_unscored_frontier_model_may_be_the_baseline_so_nothing_passes() -> None:
    results = scored("wren", right(400, 400)), scored("small", right(400, 400), kind="frontier", cost=5_000)
    comparison = judge("x", None, run(*results, published("summit", None, kind="frontier")))
    decision = decide(comparison, Policy())
    assert not decision.passed
    assert "summit was not scored and may be better than the baseline small" in decision.sentence


def twice(result: dict[str, object]) -> dict[str, object]:
    items = result["per_item"]
    assert isinstance(items, list)
    return result | {"per_item": items + items}


def rows_of(result: dict[str, object], *indices: int) -> dict[str, object]:
    items = result["per_item"]
    assert isinstance(items, list)
    return result | {"per_item": [item | {"idx": index} for item, index in zip(items, indices, strict=False)]}


def wren(scores: list[float | None]) -> dict[str, object]:
    return scored("wren", scores)


def summit(scores: list[float | None]) -> dict[str, object]:
    return scored("summit", scores, kind="frontier", cost=5_000)


NOTHING: dict[str, Callable[[], list[dict[str, object]]]] = {
    "no results": list,
    "no rows": lambda: [wren([]), summit([])],
    "both fail every row": lambda: [wren([0.0] * 400), summit([0.0] * 400)],
    "both error on every row": lambda: [wren([None] * 400), summit([None] * 400)],
    "the baseline errors on every row": lambda: [wren([1.0] * 400), summit([None] * 400)],
    "the candidate errors on every row": lambda: [wren([None] * 400), summit([1.0] * 400)],
    "the candidate has no rows": lambda: [wren([]), summit([1.0] * 400)],
    "the baseline has no rows": lambda: [wren([1.0] * 400), summit([])],
    "rows in common with none": lambda: [wren([1.0] * 400), rows_of(summit([1.0] * 400), *range(400, 800))],
    "every row twice": lambda: [twice(wren([1.0] * 400)), twice(summit([1.0] * 400))],
    "the candidate twice": lambda: [wren([1.0] * 400), wren([1.0] * 400), summit([1.0] * 400)],
    "the baseline twice": lambda: [wren([1.0] * 400), summit([1.0] * 400), summit([0.0] * 400)],
    "published without rows": lambda: [
        published("wren", 0.9, 0.9, 0.9),
        published("summit", 0.9, 0.9, 0.9, kind="frontier"),
    ],
    "published off the scale": lambda: [
        published("wren", 90, 85, 95),
        published("summit", 80, 75, 85, kind="frontier"),
    ],
}


@pytest.mark.parametrize("case", NOTHING)
@pytest.mark.parametrize("policy", [Policy(), ANYTHING.model_copy(update={"max_loss": 0.02})], ids=["default", "lax"])
def test_nothing_passes_on(case: str, policy: Policy) -> None:
    decision = decide(judge("x", None, run(*NOTHING[case]())), policy)
    assert not decision.passed
    assert decision.sentence.startswith("Nothing passes")


@pytest.mark.parametrize("case", ["both fail every row", "both error on every row", "the baseline errors on every row"])
def test_where_the_baseline_got_nothing_right_not_even_the_laxest_policy_lets_a_model_pass(case: str) -> None:
    assert not decide(judge("x", None, run(*NOTHING[case]())), ANYTHING).passed


def test_one_question_asked_many_times_is_one_row() -> None:
    rows: list[dict[str, object]] = [{"input": "the same", "expected": "yes"}] * 400
    comparison = judge("x", None, run(wren([1.0] * 400), summit([1.0] * 400)), ComparisonContext(rows=rows))
    assert comparison.groups == 1
    assert not decide(comparison, Policy()).passed


def test_published_figures_pass_only_where_as_many_right_or_wrong_rows_would_show_it() -> None:
    def of(rows: int) -> Comparison:
        counts = {"n_succeeded": rows, "error_count": 0}
        return judge(
            "x",
            None,
            run(
                published("wren", 0.95, 0.949, 0.951, **counts),
                published("summit", 0.95, 0.949, 0.951, kind="frontier", **counts),
            ),
        )

    assert not decide(of(1_000), Policy()).passed
    assert decide(of(10_000), Policy()).passed


def test_the_loss_allowed_is_the_margin_of_the_comparison_unless_the_policy_has_its_own() -> None:
    results = scored("wren", right(390, 400)), scored("summit", right(400, 400), kind="frontier", cost=5_000)
    wide = judge("x", None, run(*results), ComparisonContext(margin=0.06))
    assert decide(wide, Policy()).passed
    assert not decide(wide, Policy(max_loss=0.03)).passed
    narrow = judge("x", None, run(*results))
    assert not decide(narrow, Policy()).passed
    assert decide(narrow, Policy(max_loss=0.06)).passed
