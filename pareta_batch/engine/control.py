"""Remote control of a run: control requests and heartbeats, exchanged through the ledger's database.

A control request applies to the current run only; the next run starts without one.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import sqlalchemy as sa

from pareta_batch.engine.progress import Progress, Snapshot
from pareta_batch.errors import BatchError, LedgerError
from pareta_batch.ledger import Ledger, runs
from pareta_batch.spec import Batch

POLL_INTERVAL_S = 0.5
"""Seconds between two polls for control requests; higher writes less to the ledger and reacts later."""
HEARTBEAT_TIMEOUT_S = 10.0
"""Seconds without a heartbeat after which a run counts as killed; higher tolerates slower ledgers."""

log = logging.getLogger(__name__)


class Controlled(Protocol):
    """A session, or the parent of members: what a control request applies to."""

    batch: Batch

    @property
    def progress(self) -> Progress:
        """The progress for heartbeats."""

    def apply(self, *, paused: bool, max_in_flight: int | None) -> None:
        """Apply a control request."""


Watched = Callable[[Controlled], AbstractAsyncContextManager[object]]
"""Makes a context manager from a session, for example one that shows its progress."""


@dataclass(frozen=True)
class ControlRequest:
    """A user's request to a run: pause it, or set its maximum of calls in flight (None: the batch's own)."""

    paused: bool = False
    max_in_flight: int | None = None


class Controls:
    """Control requests and heartbeats of one batch's run."""

    def __init__(self, ledger: Ledger, batch: str) -> None:
        self._ledger = ledger
        self._batch = batch
        self._of_batch = runs.c.batch == batch

    def begin(self) -> None:
        """Register a run, without a control request."""
        with self._ledger.transaction() as db:
            db.execute(runs.delete().where(self._of_batch))
            db.execute(runs.insert().values(batch=self._batch, heartbeat_at=time.time(), **asdict(ControlRequest())))

    def exchange(self, snapshot: Snapshot) -> ControlRequest:
        """Write a heartbeat with the run's snapshot, and return the current control request."""
        with self._ledger.transaction() as db:
            db.execute(runs.update().where(self._of_batch).values(snapshot=asdict(snapshot), heartbeat_at=time.time()))
            found = db.execute(sa.select(runs.c.paused, runs.c.max_in_flight).where(self._of_batch)).one_or_none()
        return ControlRequest(*found) if found else ControlRequest()

    def end(self) -> None:
        """Remove the run; if that fails, it counts as ended after `HEARTBEAT_TIMEOUT_S`."""
        try:
            with self._ledger.transaction() as db:
                db.execute(runs.delete().where(self._of_batch))
        except LedgerError as error:
            log.warning("batch %s: the end of the run cannot be written: %s", self._batch, error)

    def live(self) -> dict[str, Any] | None:
        """Return the control request, heartbeat and last snapshot of the current run; None without a run."""
        alive = runs.c.heartbeat_at > time.time() - HEARTBEAT_TIMEOUT_S
        with self._ledger.transaction() as db:
            found = db.execute(sa.select(runs).where(self._of_batch, alive)).mappings().one_or_none()
        return dict(found) if found else None

    def request(self, **changes: bool | int) -> None:
        """Request `paused` or `max_in_flight`; the run applies it within a second.

        Raises BatchError when no run is under way.
        """
        if self.live() is None:
            raise BatchError(
                f"no run of batch {self._batch!r} is under way; continue the batch with: pareta-pipeline complete SPEC"
            )
        with self._ledger.transaction() as db:
            db.execute(runs.update().where(self._of_batch).values(**changes))


@asynccontextmanager
async def remote_control(session: Controlled, ledger: Ledger) -> AsyncIterator[None]:
    """Apply control requests to a session, and write its heartbeats, while the body runs."""
    controls = Controls(ledger, session.batch.name)
    await asyncio.to_thread(controls.begin)
    polling = asyncio.create_task(_apply_requests(controls, session))
    try:
        yield
    finally:
        polling.cancel()
        await asyncio.to_thread(controls.end)


async def _apply_requests(controls: Controls, session: Controlled) -> None:
    while True:
        try:
            requested = await asyncio.to_thread(controls.exchange, session.progress.snapshot())
        except Exception as error:  # noqa: BLE001 - without this loop, no request is ever applied again
            # The next poll may succeed. A permanent ledger failure stops the session when an answer is settled.
            log.warning("batch %s: the control requests cannot be read: %s", session.batch.name, error)
        else:
            session.apply(**asdict(requested))
        await asyncio.sleep(POLL_INTERVAL_S)
