"""Budget: no more is spent than the ceiling, and a larger ceiling continues the batch."""

from pathlib import Path

from pareta_batch.ledger.ledger import Ledger
from pareta_sandbox.testing import Sandbox, micro_usd
from tests.batch.batches import batch_in, run

ROWS = 100


async def test_a_batch_stops_before_its_budget_is_exceeded(tmp_path: Path, sandbox: Sandbox, ledger: Ledger) -> None:
    report = await run(batch_in(tmp_path, ROWS, budget_usd=0.0003), sandbox, ledger)
    assert (report.status, report.stopped) == ("stopped", "BudgetReached")
    assert 0 < report.settled < ROWS
    assert sandbox.books().debited_micro_usd <= micro_usd("0.0003")


async def test_the_budget_counts_all_runs_of_the_batch_together(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    for _ in range(3):
        await run(batch_in(tmp_path, ROWS, budget_usd=0.0003), sandbox, ledger)
    assert sandbox.books().debited_micro_usd <= micro_usd("0.0003")


async def test_a_larger_budget_continues_the_batch(tmp_path: Path, sandbox: Sandbox, ledger: Ledger) -> None:
    await run(batch_in(tmp_path, ROWS, budget_usd=0.0003), sandbox, ledger)
    report = await run(batch_in(tmp_path, ROWS, budget_usd=1), sandbox, ledger)
    assert (report.status, report.settled) == ("completed", ROWS)
    sandbox.debited_once()
