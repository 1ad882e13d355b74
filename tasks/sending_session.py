"""What holds while a run sends the rows of a batch: slots of the endpoint, one session, and its progress shown."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pareta_batch import ALL_UNSETTLED, Batch, RowSelection, Session
from tasks.endpoint_slots import lease_slots
from tasks.progress import progress_shown
from tasks.resources import shared_session


@asynccontextmanager
async def open_sending_session(batch: Batch, wanted: RowSelection = ALL_UNSETTLED) -> AsyncIterator[Session]:
    """Give the session of the batch, with no more in flight than it holds slots of the endpoint's limit."""
    # The slots outermost: they are held until the last call has come back.
    async with lease_slots(batch) as share, shared_session(batch, wanted) as session, progress_shown(session):
        if share is not None:
            share.bound(session)
        yield session
