"""What is bought beside a batch: reserved before, billed after, under one ceiling for all runs and processes."""

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pareta_batch.errors import BudgetReached, CostUnbounded
from pareta_batch.ledger import purchases
from pareta_batch.ledger.ledger import Ledger
from pareta_batch.ledger.purchases import Purchase, shares, spending
from pareta_batch.money.account import Account
from pareta_client import APIStatusError, AsyncPareta, EvalRun, InsufficientCreditsError
from pareta_evals.runner import EvalRunner
from pareta_evals.spec import Comparisons
from pareta_sandbox.testing import PriceChange, Sandbox, Status
from tests.batch.batches import ledger_in
from tests.batch.test_eval_runner import scored, spec

ACCOUNT = Account("compare/reviews", 0.001)


def eval_run(id_: str, cost: int | None, status: str = "completed") -> EvalRun:
    return EvalRun.model_validate({"run": {"id": id_, "status": status, "total_cost_micro_usd": cost}, "results": []})


def buy(ledger: Ledger, key: str, listed: float | None = 100.0, account: Account = ACCOUNT) -> None:
    purchases.reserve_purchase(ledger, account, Purchase(key, f"run {key}", {"wren-1": listed}))
    purchases.mark_bought(ledger, key, f"run_{key}")


def test_a_purchase_counts_with_its_bound_until_its_bill_is_there(ledger: Ledger) -> None:
    buy(ledger, "a")
    assert spending(ledger, ACCOUNT.name).micro_usd == 300
    buy(ledger, "a")
    assert spending(ledger, ACCOUNT.name).micro_usd == 300, "reserved again it counts once"
    assert purchases.unsettled(ledger, ACCOUNT.name) == ["run_a"]
    purchases.write_bill(ledger, eval_run("run_a", None))
    assert spending(ledger, ACCOUNT.name).micro_usd == 300, "a bill that is not told leaves the bound"
    purchases.write_bill(ledger, eval_run("run_a", 90))
    assert spending(ledger, ACCOUNT.name).micro_usd == 90
    assert purchases.unsettled(ledger, ACCOUNT.name) == []


def test_what_does_not_fit_is_refused_and_leaves_no_trace(ledger: Ledger) -> None:
    for key in "abc":
        buy(ledger, key)
    with pytest.raises(
        BudgetReached, match=r"run d may cost \$0\.0003, and \$0\.0001 of the budget of \$0\.001 are left"
    ):
        buy(ledger, "d")
    assert spending(ledger, ACCOUNT.name).micro_usd == 900
    buy(ledger, "d", account=Account("watch/reviews", 0.001))
    buy(ledger, "e", account=Account(ACCOUNT.name, 0.0012))
    purchases.write_bill(ledger, eval_run("run_a", 0, "failed"))
    buy(ledger, "f", account=Account(ACCOUNT.name, 0.0012))


def test_a_cost_that_is_not_listed_is_refused_by_name_with_a_budget_only(ledger: Ledger) -> None:
    with pytest.raises(CostUnbounded, match="run a: the cost of 'wren-1' is not listed, so budget_usd cannot bound it"):
        buy(ledger, "a", None)
    buy(ledger, "a", None, Account(ACCOUNT.name))


def test_a_bill_above_its_bound_raises_the_next_bounds_and_is_told(ledger: Ledger) -> None:
    roomy = Account(ACCOUNT.name, 1)
    buy(ledger, "a", account=roomy)
    purchases.write_bill(ledger, eval_run("run_a", 2_000))
    assert purchases.bound_micro_usd(ledger, 100) == 2_000
    told = spending(ledger, ACCOUNT.name)
    assert (told.above(0.001), told.above(1), told.above(None)) == (1_000, 0, None)
    assert told.dearer == ["run a cost $0.002, at most $0.0003 was expected"]


def test_two_processes_cannot_reserve_the_same_room(tmp_path: Path) -> None:
    def attempt(key: str) -> bool:
        ledger = ledger_in(tmp_path)
        try:
            buy(ledger, key)
        except BudgetReached:
            return False
        finally:
            ledger.close()
        return True

    async def all_at_once() -> list[bool]:
        return await asyncio.gather(*(asyncio.to_thread(attempt, str(n)) for n in range(8)))

    ledger_in(tmp_path).close()
    assert sum(asyncio.run(all_at_once())) == 3


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**9), st.lists(st.integers(0, 10**9), max_size=5))
def test_the_shares_of_a_budget_are_all_of_it(ceiling: int, spent: int, bought: int, bounds: list[int]) -> None:
    for_batch, beside = shares(ceiling, spent, bought, bounds)
    assert for_batch + beside == ceiling
    assert beside >= bought
    if spent + bought <= ceiling:
        assert for_batch >= spent
    if spent + bought + sum(bounds) <= ceiling:
        assert beside == bought + sum(bounds)


def comparisons_budget(budget_usd: float) -> Account:
    given = {
        "name": "reviews",
        "budget_usd": budget_usd,
        "comparisons": [{"name": "a", "eval_set": "s", "models": ["m"]}],
    }
    return Comparisons.model_validate(given).account


async def test_an_eval_run_is_bought_within_its_budget_and_again_for_nothing(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    async with AsyncPareta(api_key=sandbox.api_key, base_url=sandbox.base_url) as pareta:
        work = [
            EvalRunner(spec(tmp_path), pareta, ledger, account=comparisons_budget(usd)) for usd in (0.00001, 1, 1e-06)
        ]
        with pytest.raises(BudgetReached, match="eval run of 'reviews' may cost"):
            await scored(work[0])
        assert sandbox.books().debited_micro_usd == 0
        run = await scored(work[1])
        purchases.write_bill(ledger, run)
        assert spending(ledger, "compare/reviews").micro_usd == sandbox.books().debited_micro_usd > 0
        assert (await scored(work[2])).id == run.id, "what is paid for needs no room"


async def test_a_refused_run_frees_its_room_and_one_in_doubt_holds_it(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    async with AsyncPareta(api_key=sandbox.api_key, base_url=sandbox.base_url, max_retries=0) as pareta:
        work = EvalRunner(spec(tmp_path), pareta, ledger, account=comparisons_budget(1))
        sandbox.inject(Status(route="eval_runs", status=402, times=1))
        eval_set_id = await work.eval_set(await work.rows())
        plan = await work.plan(eval_set_id)
        with pytest.raises(InsufficientCreditsError):
            await work.run(eval_set_id, plan)
        assert spending(ledger, "compare/reviews").micro_usd == 0
        sandbox.inject(Status(route="eval_runs", status=500, times=1))
        with pytest.raises(APIStatusError):
            await work.run(eval_set_id, plan)
        held = spending(ledger, "compare/reviews").micro_usd
        await work.run(eval_set_id, plan)
        assert spending(ledger, "compare/reviews").micro_usd == held > 0


async def test_a_dearer_eval_run_is_told_and_raises_the_bounds(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    sandbox.inject(PriceChange(factor=20))
    async with AsyncPareta(api_key=sandbox.api_key, base_url=sandbox.base_url) as pareta:
        purchases.write_bill(
            ledger, await scored(EvalRunner(spec(tmp_path), pareta, ledger, account=comparisons_budget(1)))
        )
    told = spending(ledger, "compare/reviews")
    assert told.micro_usd == sandbox.books().debited_micro_usd
    assert purchases.bound_micro_usd(ledger, 1000) > 3000
    assert len(told.dearer) == 1
