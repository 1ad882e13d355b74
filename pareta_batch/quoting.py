"""Quotes of a batch before it is sent, with or without a pilot."""

import asyncio
from contextlib import nullcontext, suppress

from pareta_batch.approval import check_approval
from pareta_batch.engine import Watched, open_session, register_rows
from pareta_batch.errors import RowsUnanswered
from pareta_batch.ledger import ALL_UNSETTLED, Ledger, RowSelection
from pareta_batch.quote import Quote, kept_quote, leaderboard_rate
from pareta_batch.spec import Batch
from pareta_client import AsyncPareta


async def quote_rows(
    batch: Batch,
    pareta: AsyncPareta,
    ledger: Ledger,
    *,
    pilot: int = 0,
    approved: bool = False,
    wanted: RowSelection = ALL_UNSETTLED,
    watched: Watched = nullcontext,
) -> Quote:
    """Return the quote of a run of the batch, from its own receipts, else from the leaderboard; the ledger keeps it.

    Takes ownership of `pareta`. Raises as `register_rows`, and BatchStopped if the pilot was stopped.

    Args:
        batch, pareta, ledger: The work, and where it is sent and settled.
        pilot: Number of rows to send first; their answers are part of the batch. Nothing else is sent.
        approved: A person has approved the cost of the pilot; otherwise one above `approve_above_usd` raises
            ApprovalNeeded.
        wanted: The rows of the run. For failed rows the dataset is not read.
        watched: Makes the context manager in which the pilot is sent.
    """
    if wanted == ALL_UNSETTLED:
        await asyncio.to_thread(register_rows, batch, ledger)
    async with open_session(batch, pareta, ledger, wanted) as session:
        if pilot:
            rows = await asyncio.to_thread(ledger.some_missing, batch.name, pilot)
            if not approved:
                await check_approval(batch, ledger, rows, session)
            session.progress.limit_to(len(rows), total=len(rows))
            # Failed rows are sent again in the full run.
            with suppress(RowsUnanswered):
                async with watched(session):
                    await session.pilot(pilot)
        rate = await session.ask(leaderboard_rate(batch, session.pareta))
    return await asyncio.to_thread(kept_quote, batch, ledger, rate, wanted)
