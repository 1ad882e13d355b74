"""Live control: where a run under way and a person at another terminal meet, in the ledger's database.

Wishes are for the run that is under way: the next one begins without any.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa

from pareta_batch.engine.progress import Snapshot
from pareta_batch.engine.session import Session
from pareta_batch.errors import BatchError, LedgerError
from pareta_batch.ledger import Ledger, runs

EVERY_S = 0.5
SILENT_S = 10.0
"""A run that has told nothing for so long was killed."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ControlRequest:
    """What a person asks of a run: to send nothing for now, and how many calls may be in flight (None: as begun)."""

    paused: bool = False
    max_in_flight: int | None = None


class Controls:
    """The controls of one batch's run."""

    def __init__(self, ledger: Ledger, batch: str) -> None:
        self._ledger = ledger
        self._batch = batch
        self._mine = runs.c.batch == batch

    def begin(self) -> None:
        """Begin a run: without wishes."""
        with self._ledger.transaction() as db:
            db.execute(runs.delete().where(self._mine))
            db.execute(runs.insert().values(batch=self._batch, told_at=time.time(), **asdict(ControlRequest())))

    def exchange(self, snapshot: Snapshot) -> ControlRequest:
        """Tell how far the run is, and give what is wished of it."""
        with self._ledger.transaction() as db:
            db.execute(runs.update().where(self._mine).values(snapshot=asdict(snapshot), told_at=time.time()))
            found = db.execute(sa.select(runs.c.paused, runs.c.max_in_flight).where(self._mine)).one_or_none()
        return ControlRequest(*found) if found else ControlRequest()

    def end(self) -> None:
        """End the run; one that cannot be ended in the ledger counts as ended after `SILENT_S`."""
        try:
            with self._ledger.transaction() as db:
                db.execute(runs.delete().where(self._mine))
        except LedgerError as error:
            log.warning("the end of the run of %s cannot be written: %s", self._batch, error)

    def live(self) -> dict[str, Any] | None:
        """Give the wishes and the last snapshot of the run under way; None when there is none."""
        alive = runs.c.told_at > time.time() - SILENT_S
        with self._ledger.transaction() as db:
            found = db.execute(sa.select(runs).where(self._mine, alive)).mappings().one_or_none()
        return dict(found) if found else None

    def request(self, **wishes: bool | int) -> None:
        """Ask for `paused` or `max_in_flight`; a run follows within a second.

        Raises BatchError when no run is under way.
        """
        if self.live() is None:
            raise BatchError(f"no run of batch {self._batch!r} is under way")
        with self._ledger.transaction() as db:
            db.execute(runs.update().where(self._mine).values(**wishes))


@asynccontextmanager
async def remote_control(session: Session, ledger: Ledger) -> AsyncIterator[None]:
    """Let people at other terminals see and control a session while the body runs."""
    controls = Controls(ledger, session.batch.name)
    await asyncio.to_thread(controls.begin)
    obeying = asyncio.create_task(_obey(controls, session))
    try:
        yield
    finally:
        obeying.cancel()
        controls.end()


async def _obey(controls: Controls, session: Session) -> None:
    while True:
        try:
            wishes = await asyncio.to_thread(controls.exchange, session.progress.snapshot())
        except Exception as error:  # noqa: BLE001 - without this loop, no wish is ever followed again
            # A look is missed. A ledger that cannot be written for good stops the session where answers are settled.
            log.warning("the controls of %s cannot be read: %s", session.batch.name, error)
        else:
            session.obey(**asdict(wishes))
        await asyncio.sleep(EVERY_S)
