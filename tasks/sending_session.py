"""What holds while a run sends the rows of a batch: slots of the endpoint, one session, and its progress shown."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pareta_batch.engine.session import Session
from pareta_batch.ledger.selection import EVERYTHING_MISSING, Wanted
from pareta_batch.spec import Batch
from tasks.endpoint_slots import share_of_fleet
from tasks.progress import progress_shown
from tasks.resources import working_on


@asynccontextmanager
async def sending(batch: Batch, wanted: Wanted = EVERYTHING_MISSING) -> AsyncIterator[Session]:
    """Give the session of the batch, with no more in flight than it holds slots of the endpoint's limit."""
    # The slots outermost: they are held until the last call has come back.
    async with share_of_fleet(batch) as share, working_on(batch, wanted) as session, progress_shown(session):
        if share is not None:
            share.bound(session)
        yield session
