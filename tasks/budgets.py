"""Tasks of a budget: its shares for batch and comparisons, and the reservation of the smoke call."""

import asyncio
from uuid import uuid4

from pareta_batch import (
    MICRO_PER_USD,
    Account,
    Batch,
    BudgetReached,
    Ledger,
    Purchase,
    bound_micro_usd,
    budget_dollars,
    dollars,
    fetch_leaderboard,
    holds_all,
    micro_usd,
    reserve_purchase,
    shares,
    spending,
    spent_micro_usd,
)
from pareta_client import AsyncPareta
from pareta_evals import Comparisons, EvalRunner, quote_of
from tasks.direct import run_logger, task
from tasks.evals import settle_purchases
from tasks.resources import shared_client, shared_ledger

Shares = tuple[float | None, float | None]


@task(task_run_name="shares of {batch.name}")
async def share_budget(budget_usd: float | None, batch: Batch, comparisons: Comparisons | None, account: str) -> Shares:
    """Return the dollars for a batch and for its comparisons; None without a budget.

    Raises BudgetReached if nothing is left for the batch.
    """
    if budget_usd is None:
        return None, None
    await settle_purchases(account)
    async with shared_ledger() as ledger, shared_client() as pareta:
        bounds = await _bounds(comparisons, pareta, ledger) if comparisons else []
        bought = (await asyncio.to_thread(spending, ledger, account)).micro_usd
        spent = await asyncio.to_thread(_spent_on, batch, ledger, micro_usd(budget_usd) - bought)
    for_batch, for_comparisons = shares(micro_usd(budget_usd), spent, bought, bounds)
    if for_batch < 1:
        raise BudgetReached(
            f"nothing of the budget of {budget_dollars(budget_usd)} is left for the batch {batch.name!r}"
        )
    run_logger().info("of %s, %s are for the batch", budget_dollars(budget_usd), dollars(for_batch))
    return for_batch / MICRO_PER_USD, max(for_comparisons, 1) / MICRO_PER_USD


@task(task_run_name="smoke call of {name}")
async def reserve_smoke_call(name: str, task: str, model: str, account: Account) -> str:
    """Reserve the maximum cost of a smoke call before the deployment; return the key of the purchase.

    Raises BudgetReached and CostUnbounded.
    """
    async with shared_ledger() as ledger, shared_client() as pareta:
        costs = {} if account.budget_usd is None else {model: (await fetch_leaderboard(pareta, task)).cost(model)}
        purchase = Purchase(uuid4().hex, f"smoke call to {name!r}", costs)
        await asyncio.to_thread(reserve_purchase, ledger, account, purchase)
        return purchase.key


@task(task_run_name="comparison account of {batch.name}")
async def comparison_account(batch: Batch, budget_usd: float | None, account: str) -> Account:
    """Return the account for purchases other than the batch; its budget is the part that the batch leaves."""
    if budget_usd is None:
        return Account(account, tags=batch.tags)
    async with shared_ledger() as ledger:
        spent = await asyncio.to_thread(_spent_on, batch, ledger, micro_usd(budget_usd))
    return Account(account, max(micro_usd(budget_usd) - spent, 1) / MICRO_PER_USD, batch.tags)


def _spent_on(batch: Batch, ledger: Ledger, left: int) -> int:
    tally = ledger.tally(batch.name)
    return max(spent_micro_usd(batch, tally), left if holds_all(tally) else 0)


async def _bounds(comparisons: Comparisons, pareta: AsyncPareta, ledger: Ledger) -> list[int]:
    quotes = [await quote_of(EvalRunner(spec, pareta, ledger)) for spec in comparisons.comparisons]
    # A comparison that cannot be bought, or was bought, needs no reservation.
    likely = [0.0 if None in quote.models.values() else quote.likely_micro_usd for quote in quotes]
    return [await asyncio.to_thread(bound_micro_usd, ledger, each) for each in likely]
