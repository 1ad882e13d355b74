"""The rows of a data frame, sent by several processes of this machine."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import nullcontext

import pyarrow

from pareta_batch.approval import check_approval
from pareta_batch.engine import register_rows
from pareta_batch.ledger import ALL_UNSETTLED, Ledger
from pareta_batch.members import Lead, Member, lead_members
from pareta_batch.report import BatchReport, batch_report
from pareta_batch.rows import Table
from pareta_batch.run import final_tally
from pareta_batch.runners.checks import check_runner
from pareta_batch.runners.job import KeyClient, MemberJob
from pareta_batch.runners.on_this_machine import run_on_this_machine
from pareta_batch.spec import Batch
from pareta_batch.terminal import watch_session
from pareta_client import AsyncPareta

log = logging.getLogger(__name__)


async def complete_in_processes(
    batch: Batch, pareta: AsyncPareta, ledger: Ledger, *, progress: bool, approved: bool
) -> tuple[Lead, BatchReport]:
    """Send the missing rows of a frame from `batch.processes` processes; return the lead of the run, and its report.

    Raises as `run_with_members`, and LedgerError for a ledger on SQLite.
    """
    client = KeyClient(pareta.api_key, pareta.base_url)
    await pareta.aclose()  # each process has a client of its own
    check_runner(batch, ledger)
    plan = await asyncio.to_thread(register_rows, batch, ledger)
    if not approved:
        await check_approval(batch, ledger, ALL_UNSETTLED)
    # The rows are in the ledger: no process needs the frame.
    without_rows = batch.model_copy(update={"dataset": Table(pyarrow.table({}))})

    async def start(members: Sequence[Member]) -> None:
        await run_on_this_machine([MemberJob(without_rows, member, ledger.url, client) for member in members])

    async with lead_members(batch, ledger, batch.processes) as lead, watch_session(lead) if progress else nullcontext():
        await lead.work(start)
        tally = await final_tally(batch, ledger, lead)
    report = batch_report(tally, lead, changed=plan.changed)
    log.info("%s", report)
    return lead, report
