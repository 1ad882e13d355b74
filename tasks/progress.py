"""Progress while a batch runs: an artifact in the Prefect UI, and a snapshot for whoever watches in this process."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from uuid import UUID

from prefect.artifacts import acreate_progress_artifact, aupdate_progress_artifact

from pareta_batch.progress import Progress, Snapshot
from pareta_batch.session import Session
from tasks.artifacts import artifact_key

# An update costs tens of milliseconds: not more than one a second.
EVERY_S = 1.0

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
        await _show(artifact, progress)


async def _keep_showing(artifact: UUID, progress: Progress) -> None:
    while True:
        await _show(artifact, progress)
        await asyncio.sleep(EVERY_S)


async def _show(artifact: UUID, progress: Progress) -> None:
    snapshot = progress.snapshot()
    if watch := watcher.get():
        watch(snapshot)
    await aupdate_progress_artifact(artifact, 100 * snapshot.share, description=str(snapshot))
