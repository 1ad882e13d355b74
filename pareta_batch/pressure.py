"""How hard we press: a bound on the calls in flight, and one hold for everybody when the service asks for it."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Pressure:
    """Hands out the slots for calls in flight."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.in_flight = 0
        self._slots = asyncio.Semaphore(most)
        self._held_until = 0.0

    def hold(self, seconds: float) -> None:
        """Let no new call start for `seconds` from now; calls in flight go on."""
        self._held_until = max(self._held_until, time.monotonic() + seconds)

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Wait for a slot outside any hold, and give it back at the end."""
        await self._enter()
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1
            self._slots.release()

    async def _enter(self) -> None:
        while True:
            await self._slots.acquire()
            wait = self._held_until - time.monotonic()
            if wait <= 0:
                return
            # Nobody keeps a slot while asleep: the bound is on calls, not on waiters.
            self._slots.release()
            await asyncio.sleep(wait)
