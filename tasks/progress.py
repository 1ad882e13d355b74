"""Progress while a batch runs: an artifact in the Prefect UI, and a snapshot for whoever watches in this process."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from itertools import count
from uuid import UUID

import httpx
from prefect.artifacts import acreate_progress_artifact, aupdate_progress_artifact

from pareta_batch import Progress, Session, Snapshot
from tasks.artifacts import artifact_key

EVERY_S = 1.0
# An update costs tens of milliseconds here and in the server.
ARTIFACT_EVERY = 3

log = logging.getLogger(__name__)

Watcher = Callable[[Snapshot], None]

watcher: ContextVar[Watcher | None] = ContextVar("watcher", default=None)
"""Set before a flow is called in this process, it is told the progress of every batch that the flow completes."""


@asynccontextmanager
async def progress_shown(session: Session) -> AsyncIterator[None]:
    """Show a session's progress while the body runs, and once more at its end."""
    progress = session.progress
    artifact = await acreate_progress_artifact(
        progress=0.0, key=artifact_key(progress.name, "progress"), description=f"Rows of {progress.name}"
    )
    showing = asyncio.create_task(_keep_showing(artifact, progress))
    try:
        yield
    finally:
        showing.cancel()
        _tell(progress)
        await _show(artifact, progress)


async def _keep_showing(artifact: UUID, progress: Progress) -> None:
    for turn in count():
        _tell(progress)
        if turn % ARTIFACT_EVERY == 0:
            await _show(artifact, progress)
        await asyncio.sleep(EVERY_S)


def _tell(progress: Progress) -> None:
    if watch := watcher.get():
        watch(progress.snapshot())


async def _show(artifact: UUID, progress: Progress) -> None:
    snapshot = progress.snapshot()
    try:
        await aupdate_progress_artifact(artifact, 100 * snapshot.share, description=str(snapshot))
    except httpx.HTTPError as error:
        # The Prefect server is away for a while: a paid batch goes on, and is shown again when it is back.
        log.debug("the progress of %s is not shown: %s", progress.name, error)
