"""The session of a process that settles blocks of rows; it is opened for the first block, and again after a stop."""

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field
from functools import partial

from pareta_batch.engine import RETRY_POLICY, TIMING, Session, SessionWork, open_session
from pareta_batch.errors import BatchBusy, BatchStopped, LedgerError, Orphaned, RowsUnanswered
from pareta_batch.ledger import (
    ALL_UNSETTLED,
    Ledger,
    add_rows,
    check_serves_members,
    join_run,
    unsettled_rows,
)
from pareta_batch.members.blocks import lead_blocks, run_of_blocks
from pareta_batch.members.desk import MemberDesk
from pareta_batch.members.member import following_session, gate_of_member
from pareta_batch.members.row_desks import OnlyDesk, RowDesk, SharedDesk
from pareta_batch.rows import RowRequest
from pareta_batch.spec import Batch
from pareta_client import AsyncPareta

JOIN_TIMEOUT_S = 60.0
"""Seconds to wait, after the longest call, until the members of an ended run have left. Higher fails later."""
JOIN_INTERVAL_S = 0.2
"""Seconds between two attempts to join. Raising it joins later and asks the ledger less often."""
ROWS_AT_ONCE = 5_000
"""Rows that a process takes at once; PostgreSQL refuses statements with more than 65,535 values."""

log = logging.getLogger(__name__)


@dataclass
class Opened:
    """An open session with its desk; `parts` closes both, once the session has stopped and has no `users`."""

    session: Session
    desk: RowDesk
    parts: AsyncExitStack
    users: int = 0
    closed: asyncio.Event = field(default_factory=asyncio.Event)


class BlockSessions:
    """The session of one process and batch. All methods run on one event loop.

    On PostgreSQL the process joins the run of the batch's blocks as a member. The first process leads it too. On
    SQLite it is the only process.
    """

    def __init__(self, batch: Batch, ledger: Ledger, client: Callable[[], AsyncPareta]) -> None:
        self._batch = batch
        self._ledger = ledger
        self._client = client
        self._opened: Opened | None = None
        self._one_change = asyncio.Lock()
        self._closing: set[asyncio.Task[None]] = set()

    async def settle(self, requests: Mapping[str, RowRequest]) -> None:
        """Send the rows, by key, that have no final outcome; each is sent once in a call, by this or another process.

        Raises BatchStopped, LedgerError, BatchBusy while an ordinary run holds the batch, and InvalidOptions while it
        is open with another budget. Cancelling this stops the session: calls in flight finish and settle.
        """
        name, sent = self._batch.name, set[str]()
        await asyncio.to_thread(add_rows, self._ledger, name, requests)
        while missing := await self._missing([key for key in requests if key not in sent]):
            async with self._used_session() as opened:
                taken = await self._send(opened, list(missing.values())[:ROWS_AT_ONCE])
                sent |= {key for key, position in missing.items() if position in taken}

    async def _missing(self, keys: list[str]) -> dict[str, int]:
        return await asyncio.to_thread(unsettled_rows, self._ledger, self._batch.name, keys)

    async def _send(self, opened: Opened, positions: list[int]) -> set[int]:
        """Send the rows that no other process works on, or wait for one; return the positions that were sent."""
        if not (taken := await opened.desk.take(positions)):
            await opened.desk.wait()
            if (stop := opened.session.stop) is not None:
                raise BatchStopped(stop.reason, stop.message)
            return set()
        try:
            await opened.session.complete_rows(taken)
        except RowsUnanswered as error:
            log.info("%s: %s", self._batch.name, error)  # a later call sends these rows again
        # After another error, rows may have calls in flight: they are free once the session is closed.
        await opened.desk.free(taken)
        await asyncio.to_thread(self._ledger.recount, self._batch.name, min(taken), max(taken) + 1)
        return set(taken)

    async def close(self) -> None:
        """Stop the session, and close it; received answers are settled."""
        if (opened := self._opened) is not None:
            opened.session.stop_because("Interrupted", "the session was closed")
            await self._close_unused(opened)
            await opened.closed.wait()

    @asynccontextmanager
    async def _used_session(self) -> AsyncIterator[Opened]:
        """Yield the session, which stays open in the body, and stop it for an error of the body.

        A body without its parent ends without an error: another session can continue.
        """
        opened = await self._session()
        try:
            yield opened
        except BatchStopped as stop:
            opened.session.stop_because(stop.reason, stop.message)
            _raise_unless_orphaned(opened.session)
        except LedgerError as error:
            opened.session.stop_because("LedgerError", str(error))
            _raise_unless_orphaned(opened.session)
        except BaseException:
            opened.session.stop_because("Cancelled", "a block was not completed")
            raise
        finally:
            opened.users -= 1
            await self._close_unused(opened)

    async def _session(self) -> Opened:
        """Return the open session, or a new one if there is none or it has stopped, and count a user of it."""
        while True:
            async with self._one_change:
                if self._opened is None:
                    self._opened = await self._open()
                    # A process without a block must not hold up the next run.
                    ending = partial(self._close_soon, self._opened, asyncio.get_running_loop())
                    self._opened.session.on_stop(ending)
                opened = self._opened
            if opened.session.stop is None:
                opened.users += 1
                return opened
            await self._close_unused(opened)
            await opened.closed.wait()

    def _close_soon(self, opened: Opened, loop: asyncio.AbstractEventLoop) -> None:
        def start() -> None:
            task = loop.create_task(self._close_unused(opened))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

        loop.call_soon_threadsafe(start)

    async def _close_unused(self, opened: Opened) -> None:
        async with self._one_change:
            if opened is self._opened and opened.session.stop is not None and not opened.users:
                try:
                    await opened.parts.aclose()
                finally:
                    self._opened = None
                    opened.closed.set()

    async def _open(self) -> Opened:
        deadline = time.monotonic() + self._batch.timeout_s + JOIN_TIMEOUT_S
        while True:
            async with AsyncExitStack() as parts:
                try:
                    session, desk = await (self._alone if self._ledger.is_sqlite else self._join)(parts)
                except (BatchBusy, Orphaned):
                    if self._ledger.is_sqlite or time.monotonic() > deadline:
                        raise
                else:
                    return Opened(session, desk, parts.pop_all())
            await asyncio.sleep(JOIN_INTERVAL_S)

    async def _alone(self, parts: AsyncExitStack) -> tuple[Session, RowDesk]:
        try:
            session = await parts.enter_async_context(open_session(self._batch, self._client(), self._ledger))
        except BatchBusy:
            check_serves_members(self._ledger)
            raise
        return session, OnlyDesk()

    async def _join(self, parts: AsyncExitStack) -> tuple[Session, RowDesk]:
        """Join the run of the batch's blocks as a member, and lead it unless another process does."""
        batch = self._batch
        url = self._ledger.url.render_as_string(hide_password=False)
        leading = parts.enter_context(closing(await asyncio.to_thread(Ledger.open, url)))
        run = await asyncio.to_thread(run_of_blocks, leading, batch)
        if run is None:
            run = (await parts.enter_async_context(lead_blocks(batch, leading)))._rows.run
        held = parts.enter_context(join_run(self._ledger, batch.name, run))
        member = MemberDesk(self._ledger, held)
        await asyncio.to_thread(member.join, os.getpid())
        work = SessionWork(batch, self._ledger, ALL_UNSETTLED, 0, 0, gate_of_member(batch))
        session, present = await parts.enter_async_context(
            following_session(work, self._client(), member, RETRY_POLICY, TIMING)
        )
        return session, SharedDesk(self._ledger, held, present)


def _raise_unless_orphaned(session: Session) -> None:
    """Raise the reason of a stop as an error of the block; without the parent alone, another session continues."""
    stop = session.stop
    if stop is None or stop.reason == "Orphaned":
        return
    raise (
        LedgerError(stop.message) if stop.reason == "LedgerError" else BatchStopped(stop.reason, stop.message)
    ) from None
