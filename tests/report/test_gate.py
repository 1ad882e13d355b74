"""The gate: what passes, and what each refusal says."""

import numpy as np

from pareta_report import Comparison, Policy, decide, judge
from tests.report.runs import graders, right, run, scored


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
    assert "50 rows are fewer than the 100 asked for" in decision.sentence


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
    policy = Policy(max_loss=0.0115)
    assert (decide(alone, policy).model, decide(twelve, policy).model) == ("wren-0", None)


def test_a_model_that_loses_more_than_allowed_passes_in_at_most_five_of_100_comparisons() -> None:
    rng = np.random.default_rng(31)
    passed = 0
    for _ in range(100):
        # Four candidates, each exactly as much worse as is no longer allowed.
        top, *others = graders(rng, 300, 0.90, 0.85, 0.85, 0.85, 0.85)
        results = [scored(f"wren-{n}", scores) for n, scores in enumerate(others)]
        comparison = judge("x", None, run(scored("top", top, kind="frontier", cost=5_000), *results))
        passed += decide(comparison, Policy(max_loss=0.05)).passed
    assert passed <= 5
