"""What an eval run is to score: planned once, written down, the same after a restart."""

from datetime import timedelta

import pytest

from pareta_batch.errors import ModelsUnknown
from pareta_batch.ledger.ledger import Ledger
from pareta_evals.plan import EvalPlan, check_models, load_plan, planned, save_plan, save_scored_models
from pareta_evals.plan import scored_within as within

WEEK = timedelta(days=7)


def plans_and_scores_are_kept(ledger: Ledger) -> None:
    """Check what the ledger keeps of eval work, on any database."""
    plan = EvalPlan(("wren-1",), {"summit-pro": "run_1"})
    for each in (EvalPlan(("wren-1", "summit-pro")), plan):
        save_plan(ledger, "key", each)
    assert (load_plan(ledger, "key"), load_plan(ledger, "other")) == (plan, None)
    for run_id in ("run_1", "run_2"):
        ledger.save_eval_work(f"key of {run_id}", run_id)
        for _ in range(2):  # written again, it stays
            save_scored_models(ledger, "set_1", run_id, ["summit-pro"])
    save_scored_models(ledger, "set_1", "run_3", ["wren-1"])
    assert within(ledger, "set_1", WEEK) == {"summit-pro": "run_2"}, "the last of the runs whose age is known"
    assert within(ledger, "set_1", timedelta(0)) == within(ledger, "set_2", WEEK) == {}


def test_plans_and_scores_are_kept(ledger: Ledger) -> None:
    plans_and_scores_are_kept(ledger)


def test_a_baseline_with_fresh_scores_is_reused_and_the_rest_is_bought() -> None:
    plan = planned(["wren-1"], ["summit-mini", "summit-pro"], {"summit-pro": "run_1", "meridian-2": "run_1"})
    assert plan == EvalPlan(("wren-1", "summit-mini"), {"summit-pro": "run_1"})


def test_a_baseline_that_is_also_a_candidate_is_bought_once() -> None:
    assert planned(["summit-pro"], ["summit-pro"], {"summit-pro": "run_1"}) == EvalPlan(("summit-pro",))


def test_endpoints_and_aliases_are_the_services_to_know() -> None:
    check_models(["ep_1", "auto", "recommended", "wren-1"], {"wren-1"}, "the leaderboard")
    check_models(["anything"], (), "no leaderboard")
    with pytest.raises(ModelsUnknown, match="'wren-9' is not on the leaderboard, which has: wren-1"):
        check_models(["wren-9"], {"wren-1"}, "the leaderboard")
