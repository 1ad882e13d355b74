"""Resources shared within one flow run: one client, one ledger, one session of a batch.

A task in another process, thread or event loop has no shared resource and opens its own.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from contextvars import ContextVar
from typing import TYPE_CHECKING, Generic, TypeVar

from pareta_batch import (
    ALL_UNSETTLED,
    Batch,
    Lead,
    Ledger,
    RowSelection,
    Session,
    lead_members,
    open_session,
    remote_control,
)
from pareta_client import AsyncPareta
from tasks.clients import make_client
from tasks.direct import uses_prefect
from tasks.progress import show_progress

if TYPE_CHECKING:
    from tasks.endpoint_slots import SlotLease

LIMIT_POLL_INTERVAL_S = 5.0
"""Seconds between readings of an endpoint's limit. Raising it delays a changed limit and spares the server."""

Resource = TypeVar("Resource")


class Shared(Generic[Resource]):
    """A resource opened by its first user in a context and shared by nested users."""

    def __init__(self, name: str) -> None:
        self._current: ContextVar[tuple[asyncio.AbstractEventLoop, Resource] | None] = ContextVar(name, default=None)

    @asynccontextmanager
    async def use(self, opening: Callable[[], AbstractAsyncContextManager[Resource]]) -> AsyncIterator[Resource]:
        """Yield the resource that is open on this event loop, else open one until the body ends."""
        loop = asyncio.get_running_loop()
        match self._current.get():
            # A context can be copied to another thread's event loop, where the resource would hang.
            case (owner, resource) if owner is loop:
                yield resource
            case _:
                async with opening() as resource:
                    token = self._current.set((loop, resource))
                    try:
                        yield resource
                    finally:
                        self._current.reset(token)


_client = Shared[AsyncPareta]("client")
_ledger = Shared[Ledger]("ledger")
_session = Shared[Session]("session")


def shared_client() -> AbstractAsyncContextManager[AsyncPareta]:
    """Return a context manager of the shared client of the service."""
    return _client.use(_open_client)


def shared_ledger() -> AbstractAsyncContextManager[Ledger]:
    """Return a context manager of the shared ledger."""
    return _ledger.use(_open_ledger)


def shared_session(batch: Batch, selection: RowSelection = ALL_UNSETTLED) -> AbstractAsyncContextManager[Session]:
    """Return a context manager of the shared session of a batch."""
    return _session.use(lambda: _open_session(batch, selection))


@asynccontextmanager
async def open_sending_session(
    batch: Batch, selection: RowSelection = ALL_UNSETTLED, *, slot_poll_s: float = LIMIT_POLL_INTERVAL_S
) -> AsyncIterator[Session | Lead]:
    """Yield the shared session of the batch, or the parent of its members, capped at its endpoint slots."""
    opening = _open_lead(batch, selection) if batch.has_members else shared_session(batch, selection)
    # The slots are outermost: they are held until the last call has ended.
    async with _slots(batch, slot_poll_s) as lease, opening as session, show_progress(session):
        if lease is not None:
            lease.attach(session)
        yield session


def _slots(batch: Batch, poll_interval_s: float) -> "AbstractAsyncContextManager[SlotLease | None]":
    """Return the slots of the endpoint, which only a Prefect API has."""
    if not uses_prefect():
        return nullcontext()
    from tasks.endpoint_slots import lease_slots

    return lease_slots(batch, poll_interval_s)


@asynccontextmanager
async def _open_client() -> AsyncIterator[AsyncPareta]:
    async with await make_client() as client:
        yield client


@asynccontextmanager
async def _open_ledger() -> AsyncIterator[Ledger]:
    ledger = await asyncio.to_thread(Ledger.open)
    try:
        yield ledger
    finally:
        ledger.close()


@asynccontextmanager
async def _open_lead(batch: Batch, selection: RowSelection) -> AsyncIterator[Session | Lead]:
    async with (
        shared_ledger() as ledger,
        lead_members(batch, ledger, batch.processes, selection) as lead,
        remote_control(lead, ledger),
    ):
        yield lead


@asynccontextmanager
async def _open_session(batch: Batch, selection: RowSelection) -> AsyncIterator[Session]:
    # A separate client, because the session's calls run on its own event loop.
    async with (
        shared_ledger() as ledger,
        open_session(batch, await make_client(batch.credentials), ledger, selection) as session,
        remote_control(session, ledger),
    ):
        yield session
