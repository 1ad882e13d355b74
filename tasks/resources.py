"""What everything awaited in one flow run shares: one client, one ledger, one session of a batch.

A task that runs in another process, thread or event loop finds nothing to share there, and opens its own.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import ContextVar
from typing import Generic, TypeVar

from pareta_batch import ALL_UNSETTLED, Batch, Ledger, RowSelection, Session, open_session, remote_control
from pareta_client import AsyncPareta
from pareta_evals import EvalPoller
from tasks.credentials import make_client

Thing = TypeVar("Thing")


class Shared(Generic[Thing]):
    """One thing for everybody inside: whoever comes first opens it, and closes it at the end."""

    def __init__(self, name: str) -> None:
        self._found: ContextVar[tuple[asyncio.AbstractEventLoop, Thing] | None] = ContextVar(name, default=None)

    @asynccontextmanager
    async def use(self, opening: Callable[[], AbstractAsyncContextManager[Thing]]) -> AsyncIterator[Thing]:
        """Give the thing that is open on this event loop, else open one for everything awaited inside."""
        loop = asyncio.get_running_loop()
        match self._found.get():
            # A context can be copied to another thread's loop, where the thing would hang.
            case (where, thing) if where is loop:
                yield thing
            case _:
                async with opening() as thing:
                    token = self._found.set((loop, thing))
                    try:
                        yield thing
                    finally:
                        self._found.reset(token)


_client = Shared[AsyncPareta]("client")
_ledger = Shared[Ledger]("ledger")
_poller = Shared[EvalPoller]("poller")
_session = Shared[Session]("session")


def shared_client() -> AbstractAsyncContextManager[AsyncPareta]:
    """Share the client to the service."""
    return _client.use(_open_client)


def shared_ledger() -> AbstractAsyncContextManager[Ledger]:
    """Share the ledger."""
    return _ledger.use(_open_ledger)


def shared_poller() -> AbstractAsyncContextManager[EvalPoller]:
    """Share the poller that looks at the eval runs which are waited for."""
    return _poller.use(_open_poller)


def shared_session(batch: Batch, wanted: RowSelection = ALL_UNSETTLED) -> AbstractAsyncContextManager[Session]:
    """Share the session of a batch: the rows it sends, its slots, its stop, its progress."""
    return _session.use(lambda: _open_session(batch, wanted))


@asynccontextmanager
async def _open_client() -> AsyncIterator[AsyncPareta]:
    async with await make_client() as client:
        yield client


@asynccontextmanager
async def _open_poller() -> AsyncIterator[EvalPoller]:
    async with shared_client() as client, EvalPoller(client.evals.runs.retrieve) as poller:
        yield poller


@asynccontextmanager
async def _open_ledger() -> AsyncIterator[Ledger]:
    ledger = await asyncio.to_thread(Ledger.open)
    try:
        yield ledger
    finally:
        ledger.close()


@asynccontextmanager
async def _open_session(batch: Batch, wanted: RowSelection) -> AsyncIterator[Session]:
    # A client of its own: the session's calls run on another loop than the flow's.
    async with (
        shared_ledger() as ledger,
        open_session(batch, await make_client(), ledger, wanted) as session,
        remote_control(session, ledger),
    ):
        yield session
