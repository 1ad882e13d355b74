"""A complete run of a batch in this process, without an orchestrator."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from math import ceil

from pareta_batch.answers import write_output
from pareta_batch.approval import check_approval
from pareta_batch.engine import (
    RETRY_POLICY,
    TIMING,
    RetryPolicy,
    Session,
    Timing,
    fan_out,
    open_session,
    register_rows,
)
from pareta_batch.errors import BatchError, BatchStopped, LedgerError, RowsUnanswered
from pareta_batch.ledger import ALL_UNSETTLED, Ledger, RowSelection, Tally, check_batch_quote
from pareta_batch.members import Lead, StartMembers, lead_members
from pareta_batch.report import BatchReport, batch_report
from pareta_batch.spec import Batch
from pareta_client import AsyncPareta


async def run_batch(
    batch: Batch,
    pareta: AsyncPareta,
    ledger: Ledger,
    *,
    policy: RetryPolicy = RETRY_POLICY,
    timing: Timing = TIMING,
    approved: bool = False,
) -> BatchReport:
    """Send the missing rows of the dataset, write the answers of all rows, and return the report.

    Takes ownership of `pareta`, as `open_session` does. Raises as `register_rows`, and LedgerError if the ledger cannot
    be read at the end. A ledger error while rows are sent stops the batch and is in the report. A cost above
    `approve_above_usd` raises ApprovalNeeded, unless a person has `approved` it.
    """
    plan = await asyncio.to_thread(register_rows, batch, ledger)
    async with open_session(batch, pareta, ledger, policy=policy, timing=timing) as session:
        if not approved:
            await check_approval(batch, ledger, ALL_UNSETTLED, session)
        await complete_shards(session, plan.missing)
    tally = await _finish(batch, ledger, session)
    return batch_report(tally, session, changed=plan.changed)


async def run_with_members(
    batch: Batch, ledger: Ledger, members: int, start: StartMembers, *, approved: bool = False
) -> BatchReport:
    """Send the missing rows with several processes, write the answers of all rows, and return the report.

    `start` starts one process for each member it receives, and returns when all have ended; each calls
    `work_as_member`. Raises as `run_batch` and `lead_members`, and the error of `start`. Without receipts of the
    batch its cost is unknown, which needs an approval too.
    """
    plan = await asyncio.to_thread(register_rows, batch, ledger)
    if not approved:
        await check_approval(batch, ledger, ALL_UNSETTLED)
    async with lead_members(batch, ledger, members) as leading:
        await leading.work(start)
        tally = await _finish(batch, ledger, leading)
    return batch_report(tally, leading, changed=plan.changed)


async def retry_failed(
    batch: Batch, pareta: AsyncPareta, ledger: Ledger, errors: Sequence[str] = (), *, approved: bool = False
) -> BatchReport:
    """Send failed rows again: those with a transient error, or those with one of the named error classes.

    It works from the ledger: the dataset is not read, and the answers file is not written. An old error stays until
    the new outcome is durable. Takes ownership of `pareta`. Raises ApprovalNeeded as `run_batch`.
    """
    wanted = RowSelection(only_failed=True, errors=tuple(errors))
    async with open_session(batch, pareta, ledger, wanted) as session:
        if not approved:
            await check_approval(batch, ledger, wanted, session)
        shards = await asyncio.to_thread(ledger.missing_shards, batch.name, batch.shard_size, wanted)
        await complete_shards(session, shards)
    return batch_report(await final_tally(batch, ledger, session), session, changed=0)


async def _finish(batch: Batch, ledger: Ledger, session: Session | Lead) -> Tally:
    """Write the answers of all rows, and return the tally."""
    with report_ledger_failure(session):
        await asyncio.to_thread(write_output, batch, ledger, session.written)
    return await final_tally(batch, ledger, session)


async def final_tally(batch: Batch, ledger: Ledger, session: Session | Lead) -> Tally:
    """Return the tally at the end of a run, and compare the last quote with the bill."""
    with report_ledger_failure(session):
        tally = await asyncio.to_thread(ledger.tally, batch.name)
        await asyncio.to_thread(check_batch_quote, ledger, batch.name, tally)
    return tally


async def complete_shards(
    session: Session, shards: Iterable[int], complete: Callable[[int], Awaitable[None]] | None = None
) -> None:
    """Complete shards, a bounded number at a time, until all are done or the session is stopped.

    `complete` works on one shard; by default it is the session's own method.
    """
    complete_shard = complete or session.complete

    async def work(shard: int) -> None:
        try:
            await complete_shard(shard)
        except (BatchStopped, RowsUnanswered):
            # The ledger has both, row by row; the report counts them.
            return
        except LedgerError:
            # It stopped the session. Outcomes settled before are in the report and the answers file.
            if session.stop is None:
                raise

    await fan_out(shards, work, workers=shards_at_once(session.batch), stopped=lambda: session.stop is not None)


@contextmanager
def report_ledger_failure(session: Session | Lead) -> Iterator[None]:
    """Raise LedgerError with both reasons if the ledger stopped a session and then fails in the body too."""
    try:
        yield
    except BatchError as error:
        if session.stop is None or session.stop.reason != "LedgerError":
            raise
        raise LedgerError(f"{session.stop.message}; at the end of the run: {error}") from error


def shards_at_once(batch: Batch) -> int:
    """Return the number of concurrent shards: those that fill max_in_flight, one that ends and one that begins."""
    return ceil(batch.max_in_flight / batch.shard_size) + 2
