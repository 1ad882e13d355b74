"""A whole run of a batch in this process, without an orchestrator."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from math import ceil

from pareta_batch.answers import write_answers
from pareta_batch.engine import Session, fan_out, open_session, register_rows
from pareta_batch.errors import BatchError, BatchStopped, LedgerError, RowsUnanswered
from pareta_batch.ledger import Ledger, RowSelection, check_batch_quote
from pareta_batch.report import BatchReport, batch_report
from pareta_batch.spec import Batch
from pareta_client import AsyncPareta


async def run_batch(batch: Batch, pareta: AsyncPareta, ledger: Ledger) -> BatchReport:
    """Send what the ledger is missing of the dataset and write the answers of all rows.

    Takes over `pareta`, as `open_session` does. Raises what `enrol` raises, and LedgerError when the ledger cannot be
    read in the end; a ledger that fails while rows are sent stops the batch, as the report says.
    """
    plan = await asyncio.to_thread(register_rows, batch, ledger)
    async with open_session(batch, pareta, ledger) as session:
        await complete_shards(session, plan.missing)
    with stop_told(session):
        await asyncio.to_thread(write_answers, batch, ledger)
        tally = await asyncio.to_thread(ledger.tally, batch.name)
        await asyncio.to_thread(check_batch_quote, ledger, batch.name, tally)
    return batch_report(tally, session, changed=plan.changed)


async def retry_failed(batch: Batch, pareta: AsyncPareta, ledger: Ledger, errors: Sequence[str] = ()) -> BatchReport:
    """Send again what failed in a way that may pass, or what failed with one of the error classes named, even finally.

    It works from the ledger: the dataset is not read, and the answers file is not written. An old error stays until
    the new outcome is in. Takes over `pareta`.
    """
    wanted = RowSelection(only_failed=True, errors=tuple(errors))
    async with open_session(batch, pareta, ledger, wanted) as session:
        shards = await asyncio.to_thread(ledger.missing_shards, batch.name, batch.shard_size, wanted)
        await complete_shards(session, shards)
    with stop_told(session):
        tally = await asyncio.to_thread(ledger.tally, batch.name)
        await asyncio.to_thread(check_batch_quote, ledger, batch.name, tally)
    return batch_report(tally, session, changed=0)


async def complete_shards(
    session: Session, shards: Iterable[int], complete: Callable[[int], Awaitable[None]] | None = None
) -> None:
    """Complete shards, a bounded number at a time, until done or stopped.

    `complete` does one shard, by default the session itself.
    """
    do = complete or session.complete

    async def work(shard: int) -> None:
        try:
            await do(shard)
        except (BatchStopped, RowsUnanswered):
            # Both stand in the ledger, row by row; the report counts them.
            return
        except LedgerError:
            # It stopped the session. What was settled before is reported, and written to the answers file.
            if session.stop is None:
                raise

    await fan_out(shards, work, workers=shards_at_once(session.batch), stopped=lambda: session.stop is not None)


@contextmanager
def stop_told(session: Session) -> Iterator[None]:
    """Raise LedgerError with both reasons when a session was stopped by its ledger and cannot be accounted for."""
    try:
        yield
    except BatchError as error:
        if session.stop is None or session.stop.reason != "LedgerError":
            raise
        raise LedgerError(f"{session.stop.message}; in the end: {error}") from error


def shards_at_once(batch: Batch) -> int:
    """Give how many shards to work on: those that fill the slots, one whose tail is under way, one that begins."""
    return ceil(batch.max_in_flight / batch.shard_size) + 2
