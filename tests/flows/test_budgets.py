"""One budget for a run: comparisons, promotions, watches and pipelines end at it, lose nothing, and go on with more."""

from pathlib import Path

import pytest

from flows.compare_models import compare_models
from flows.outcome_table import ExitStatus, end_state
from flows.outcomes import end_reason, report_of
from flows.promote_winner import promote_winner
from flows.run_pipeline import run_pipeline
from flows.watch_quality import watch_quality
from pareta_batch.errors import BudgetReached
from pareta_batch.money.budget import micro_usd
from pareta_evals.spec import Comparisons
from pareta_sandbox.testing import Sandbox
from tests.flows.test_compare_models import comparisons, several
from tests.flows.test_promote_winner import endpoints, promotion
from tests.flows.test_run_pipeline import pipeline
from tests.flows.test_watch_quality import watch


@pytest.fixture
def pareta(direct: Sandbox) -> Sandbox:
    """A service to run against; these flows run without a Prefect server."""
    return direct


def spent(sandbox: Sandbox) -> int:
    return sandbox.books().debited_micro_usd


def within(work: Comparisons, budget_usd: float) -> Comparisons:
    return work.model_copy(update={"budget_usd": budget_usd})


async def test_comparisons_that_do_not_fit_are_not_bought_and_a_larger_budget_buys_only_them(
    direct: Sandbox, tmp_path: Path
) -> None:
    work = several(tmp_path, {"models": ["wren-1"], "frontier": "none"}, {"frontier": ["summit-pro"]})
    work = work.model_copy(update={"max_runs_in_flight": 1})
    state = await compare_models(within(work, 0.002), return_state=True)
    first = await report_of(state)
    assert (state.name, end_state(end_reason(first)).exit_status) == ("BudgetReached", ExitStatus.STOPPED)
    assert [each.status for each in first.comparisons] == ["completed", "failed"]
    assert "are left" in str(first.comparisons[1].error)
    assert first.spent is not None
    assert (spent(direct), first.spent.overspent_micro_usd) == (first.spent.spent_micro_usd, 0)
    second = await compare_models(within(work, 1))
    assert second.comparisons[0].run_id == first.comparisons[0].run_id
    assert direct.books().eval_runs_created == 2
    assert second.spent is not None
    assert second.spent.spent_micro_usd == spent(direct)


async def test_a_cost_that_is_not_listed_is_refused_by_name(direct: Sandbox, tmp_path: Path) -> None:
    work = within(comparisons(tmp_path, "one", models=["auto"], frontier="none"), 1)
    report = await report_of(await compare_models(work, return_state=True))
    assert "the cost of 'auto' is not listed" in str(report.comparisons[0].error)
    assert spent(direct) == 0


async def test_an_endpoint_is_bounded_by_the_model_that_it_serves(direct: Sandbox, tmp_path: Path) -> None:
    work = within(comparisons(tmp_path, "one", models=["ep_seed_sentiment"], frontier="none"), 1)
    assert (await compare_models(work)).status == "completed"


async def test_a_promotion_without_room_deploys_nothing(direct: Sandbox, tmp_path: Path) -> None:
    state = await promote_winner(promotion(tmp_path).model_copy(update={"budget_usd": 0.0001}), return_state=True)
    status = end_state(end_reason(await report_of(state))).exit_status
    assert (state.name, status, endpoints(), spent(direct)) == (
        "BudgetReached",
        ExitStatus.STOPPED,
        {},
        0,
    )
    report = await promote_winner(promotion(tmp_path, max_loss=0.05).model_copy(update={"budget_usd": 5.0}))
    assert report.endpoint is not None


async def test_a_watch_ends_at_its_budget_over_all_its_occasions(direct: Sandbox, tmp_path: Path) -> None:
    await watch_quality(watch(tmp_path))
    once = spent(direct)
    budgeted = watch(tmp_path).model_copy(update={"budget_usd": 5 * once / 1_000_000})
    names = [(await watch_quality(budgeted, return_state=True)).name for _ in range(4)]
    assert names[-1] == BudgetReached.__name__
    assert once < spent(direct) <= 5 * once


async def test_a_pipeline_keeps_one_budget_for_batch_comparisons_and_smoke_calls_in_all_its_runs(
    direct: Sandbox, tmp_path: Path
) -> None:
    sampling = {"max_tokens": 5}
    work = pipeline(tmp_path).batch.model_dump() | {"sampling": sampling}
    small = pipeline(tmp_path, batch=work, budget_usd=0.0003)
    for _ in range(2):
        state = await run_pipeline(small, return_state=True)
        assert state.name == "BudgetReached"
        assert 0 < spent(direct) <= micro_usd(0.0003)
    report = await run_pipeline(pipeline(tmp_path, batch=work, budget_usd=1.0))
    assert report.status == "completed"
    assert report.batch.settled == 12
    direct.debited_once()
