"""One poller for all eval runs that are waited for: backoff with jitter, and a deadline for each run."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType

from pareta_client import EvalRun, EvalWaitTimeoutError, ParetaError, if_transient

FIRST_S = 0.5
LONGEST_S = 15.0
GROWTH = 1.5
JITTER = 0.2
LOOKS_AT_ONCE = 8

Read = Callable[[str], Awaitable[EvalRun]]


@dataclass(slots=True, eq=False)
class Watched:
    """A run that somebody waits for; times are on the clock's scale, in seconds."""

    run_id: str
    since: float
    deadline: float
    next_look: float
    interval: float = FIRST_S
    status: str | None = None
    trouble: ParetaError | None = None
    end: "asyncio.Future[EvalRun]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def look_again(self, now: float, luck: float) -> None:
        """Plan the next look, later each time; `luck` from 0 to 1 spreads those of many runs. The last is on time."""
        wait = self.interval * (1 - JITTER + 2 * JITTER * luck)
        self.next_look = min(now + wait, max(self.deadline, now))
        self.interval = min(self.interval * GROWTH, LONGEST_S)

    def overdue(self, now: float) -> EvalWaitTimeoutError:
        """Say that the run was waited for in vain; it goes on at the service."""
        error = EvalWaitTimeoutError(self.run_id, waited=now - self.since, status=self.status)
        error.__cause__ = self.trouble
        return error


class EvalPoller:
    """Looks at every watched run when it is due, a few at once; open it with `async with`."""

    def __init__(
        self,
        read: Read,
        *,
        clock: Callable[[], float] = time.monotonic,
        luck: Callable[[], float] = random.random,
    ) -> None:
        self._read = read
        self._clock = clock
        self._luck = luck
        self._watched: set[Watched] = set()
        self._more = asyncio.Event()
        self._polling: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "EvalPoller":
        self._polling = asyncio.create_task(self._poll())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._polling is not None:
            self._polling.cancel()
            await asyncio.gather(self._polling, return_exceptions=True)

    async def wait(self, run_id: str, timeout_s: float) -> EvalRun:
        """Wait until a run has ended; the first look is now. Raises EvalWaitTimeoutError, and what reading it raises.

        Trouble that may pass is waited out.
        """
        now = self._clock()
        watched = Watched(run_id, since=now, deadline=now + timeout_s, next_look=now)
        self._watched.add(watched)
        self._more.set()
        try:
            return await watched.end
        finally:
            self._watched.discard(watched)

    async def _poll(self) -> None:
        while True:
            self._more.clear()
            now = self._clock()
            due = sorted((w for w in self._watched if w.next_look <= now), key=lambda w: w.next_look)
            await asyncio.gather(*(self._look(watched) for watched in due[:LOOKS_AT_ONCE]))
            await self._until_next()

    async def _until_next(self) -> None:
        """Sleep until a run is due or another one is to be watched."""
        next_look = min((watched.next_look for watched in self._watched), default=None)
        wait = None if next_look is None else max(0.0, next_look - self._clock())
        with suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await self._more.wait()

    async def _look(self, watched: Watched) -> None:
        try:
            run = await self._read_if_it_can_be(watched)
        except Exception as error:  # noqa: BLE001 - handed to who waits
            self._end(watched, error)
            return
        if run is not None and run.is_terminal:
            self._end(watched, run)
        else:
            self._again(watched)

    async def _read_if_it_can_be(self, watched: Watched) -> EvalRun | None:
        try:
            run = await self._read(watched.run_id)
        except ParetaError as error:
            watched.trouble = if_transient(error)
            return None
        watched.status = run.status
        return run

    def _again(self, watched: Watched) -> None:
        now = self._clock()
        if now >= watched.deadline:
            self._end(watched, watched.overdue(now))
        else:
            watched.look_again(now, self._luck())

    def _end(self, watched: Watched, end: EvalRun | Exception) -> None:
        self._watched.discard(watched)
        if watched.end.done():  # who waited has gone
            return
        if isinstance(end, EvalRun):
            watched.end.set_result(end)
        else:
            watched.end.set_exception(end)
