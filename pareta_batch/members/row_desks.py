"""The rows that a process works on: no two calls, and no two processes, work on the same row at once."""

import asyncio
from contextlib import suppress
from functools import partial
from typing import Protocol

from pareta_batch.ledger import Ledger, Membership
from pareta_batch.members.blocks import free_rows, take_rows
from pareta_batch.members.desk import Present
from pareta_batch.members.member import EXCHANGE_INTERVAL_S


class RowDesk(Protocol):
    """The rows that this process works on: no two processes have the same row."""

    async def take(self, positions: list[int]) -> list[int]:
        """Return the positions that are taken for this call; raises BatchStopped, LedgerError."""

    async def free(self, positions: list[int]) -> None:
        """Free taken positions; raises LedgerError."""

    async def wait(self) -> None:
        """Wait until rows of others may be free."""


class OnlyDesk:
    """The rows of the only process; several of its calls may have the same row."""

    def __init__(self) -> None:
        self._taken: set[int] = set()
        self._freed = Present()

    async def take(self, positions: list[int]) -> list[int]:
        """Return the positions that no other call has taken."""
        taken = [position for position in positions if position not in self._taken]
        self._taken |= set(taken)
        return taken

    async def free(self, positions: list[int]) -> None:
        """Free taken positions."""
        self._taken -= set(positions)
        self._freed.announce()

    async def wait(self) -> None:
        """Wait until rows are freed, or the session may have stopped."""
        await _next(self._freed)


class SharedDesk:
    """The rows of one member of a run on PostgreSQL."""

    def __init__(self, ledger: Ledger, held: Membership, present: Present) -> None:
        self._present = present
        self._take = partial(take_rows, ledger, held)
        self._free = partial(free_rows, ledger, held)

    async def take(self, positions: list[int]) -> list[int]:
        """Return the positions that no other member has taken; raises BatchStopped, LedgerError."""
        return await asyncio.to_thread(self._take, positions)

    async def free(self, positions: list[int]) -> None:
        """Free taken positions; raises LedgerError."""
        await asyncio.to_thread(self._free, positions)

    async def wait(self) -> None:
        """Wait for the next exchange of this member."""
        await _next(self._present)


async def _next(announced: Present) -> None:
    with suppress(TimeoutError):  # nothing is announced once the session is being closed
        async with asyncio.timeout(2 * EXCHANGE_INTERVAL_S):
            await announced.wait()
