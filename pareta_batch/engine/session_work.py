"""The work of a session: the rows of a batch, those to send, and its budget."""

import logging
from dataclasses import dataclass

from pareta_batch.errors import LedgerError
from pareta_batch.ledger import Ledger, RowSelection, budget_of, record_owner
from pareta_batch.money import BudgetGate
from pareta_batch.spec import Batch

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SessionWork:
    """The rows of a batch, those to send, the gate of the budget, and the receipts of earlier runs."""

    batch: Batch
    ledger: Ledger
    selection: RowSelection
    total: int
    to_send: int
    budget: BudgetGate
    spent_micro_usd: int | None = None


def read_work(batch: Batch, ledger: Ledger, selection: RowSelection) -> SessionWork:
    """Return the work of a run, from the ledger; raises LedgerError."""
    if ledger.is_registering(batch.name):
        raise LedgerError(f"batch {batch.name}: registering its rows was interrupted; run it again, which continues it")
    record_owner(ledger, f"batch/{batch.name}", batch.model, batch.tags)
    tally = ledger.tally(batch.name)
    to_send = sum(ledger.missing_shards(batch.name, batch.shard_size, selection).values())
    budget = BudgetGate(budget_of(batch, tally, ledger))
    spent = (tally.billed_micro_usd or 0) + tally.superseded_micro_usd
    return SessionWork(batch, ledger, selection, tally.total - tally.open_copies, to_send, budget, spent)


def money_in_ledger(work: SessionWork) -> tuple[int, int | None]:
    """Return the present receipts of a batch and its budget left in micro-USD; None without a budget."""
    work = read_work(work.batch, work.ledger, work.selection)
    return work.spent_micro_usd or 0, work.budget.left_micro_usd()


def settle_copies(batch: Batch, ledger: Ledger) -> None:
    """Write the outcomes of the sent rows to their copies; if that fails, the next registration does it."""
    try:
        ledger.settle_copies(batch.name)
    except LedgerError as error:
        log.warning("%s: copies of answered rows are not written, the next run writes them: %s", batch.name, error)


def recount(batch: Batch, ledger: Ledger, shard: int) -> None:
    """Count the rows of a completed shard; if that fails, the next registration does it."""
    try:
        ledger.recount(batch.name, shard * batch.shard_size, (shard + 1) * batch.shard_size)
    except LedgerError as error:
        log.warning("%s: shard %s is not counted, tallies read its rows: %s", batch.name, shard, error)
