"""Locks of the work of a run, in the ledger: two runs never do the same work at once."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tasks.clients import current_credentials
from tasks.resources import shared_ledger


@asynccontextmanager
async def work_lock(kind: str, name: str) -> AsyncIterator[None]:
    """Hold the lock of a work while the body runs, for all runs that share a ledger.

    Works of different accounts of the service have different locks. It is released at once if its holder is killed.
    Raises BatchBusy while another run holds it.
    """
    account = current_credentials()
    async with shared_ledger() as ledger:
        # The colon keeps the name apart from batches, whose names have none.
        with ledger.lease(f"{kind}:{account}/{name}" if account else f"{kind}:{name}"):
            yield


async def check_batch_is_free(batch: str) -> None:
    """Check that no other run holds the batch, before an endpoint is deployed for it. Raises BatchBusy."""
    async with shared_ledger() as ledger:
        with ledger.lease(batch):
            pass
