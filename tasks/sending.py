"""What holds while a run sends the rows of a batch: slots of the endpoint, one session, and its progress shown."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pareta_batch.batch import Batch
from pareta_batch.ledger import EVERYTHING_MISSING, Wanted
from pareta_batch.session import Session
from tasks.fleet import following_the_limit, share_of_fleet
from tasks.progress import progress_shown
from tasks.shared import working_on


@asynccontextmanager
async def sending(batch: Batch, wanted: Wanted = EVERYTHING_MISSING) -> AsyncIterator[Session]:
    """Give the session of the batch, with no more in flight than it holds slots of the endpoint's limit."""
    async with (
        share_of_fleet(batch) as share,
        working_on(share, wanted) as session,
        following_the_limit(session),
        progress_shown(session),
    ):
        yield session
