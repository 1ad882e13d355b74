"""Progress of a running batch: an artifact in the Prefect UI, and snapshots for a watcher in this process."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from itertools import count
from uuid import UUID

from pareta_batch import Lead, Progress, Session, Snapshot
from tasks.artifacts import artifact_key
from tasks.direct import uses_prefect

UPDATE_INTERVAL_S = 1.0
"""Seconds between snapshots. Raising it makes the progress bar coarser."""
UPDATES_PER_ARTIFACT = 3
"""Snapshots for each update of the artifact, which costs tens of milliseconds. Raising it makes the UI lag."""

log = logging.getLogger(__name__)

Watcher = Callable[[Snapshot], None]

watcher: ContextVar[Watcher | None] = ContextVar("watcher", default=None)
"""Callback for the snapshots of every batch of a flow; set it before the flow is called in this process."""


@asynccontextmanager
async def show_progress(session: Session | Lead, interval_s: float = UPDATE_INTERVAL_S) -> AsyncIterator[None]:
    """Show the progress of a session while the body runs, and at its end."""
    progress = session.progress
    artifact = None
    if uses_prefect():
        from prefect.artifacts import acreate_progress_artifact

        key, description = artifact_key(progress.name, "progress"), f"Rows of {progress.name}"
        artifact = await acreate_progress_artifact(progress=0.0, key=key, description=description)
    showing = asyncio.create_task(_update_repeatedly(artifact, progress, interval_s))
    try:
        yield
    finally:
        showing.cancel()
        _notify(progress)
        await _show(artifact, progress)


async def _update_repeatedly(artifact: UUID | None, progress: Progress, interval_s: float) -> None:
    for turn in count():
        _notify(progress)
        if turn % UPDATES_PER_ARTIFACT == 0:
            await _show(artifact, progress)
        await asyncio.sleep(interval_s)


def _notify(progress: Progress) -> None:
    if watch := watcher.get():
        watch(progress.snapshot())


async def _show(artifact: UUID | None, progress: Progress) -> None:
    if artifact is None:
        return
    import httpx
    from prefect.artifacts import aupdate_progress_artifact

    snapshot = progress.snapshot()
    try:
        await aupdate_progress_artifact(artifact, 100 * snapshot.share, description=str(snapshot))
    except httpx.HTTPError as error:
        # The Prefect server is unreachable: the batch continues, and the next update shows its progress.
        log.debug("progress of %s not shown: %s", progress.name, error)
