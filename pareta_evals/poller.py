"""One poller for all pending eval runs: backoff with jitter, and a deadline for each run."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType

from pareta_client import EvalRun, EvalWaitTimeoutError, ParetaError, if_transient

FIRST_INTERVAL_S = 0.5
MAX_INTERVAL_S = 15.0
GROWTH = 1.5
JITTER = 0.2
"""Intervals between polls: first, longest, factor, and relative jitter; higher polls less and notices the end later."""
MAX_CONCURRENT_POLLS = 8
"""Upper bound of concurrent requests; higher polls many runs faster, and loads the service more."""

Read = Callable[[str], Awaitable[EvalRun]]


@dataclass(slots=True, eq=False)
class Watched:
    """A pending run; times are in seconds of the poller's clock."""

    run_id: str
    since: float
    deadline: float
    next_poll: float
    interval: float = FIRST_INTERVAL_S
    status: str | None = None
    last_error: ParetaError | None = None
    end: "asyncio.Future[EvalRun]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def schedule(self, now: float, luck: float) -> None:
        """Schedule the next poll with backoff, no later than the deadline; `luck` (0 to 1) gives the jitter."""
        wait = self.interval * (1 - JITTER + 2 * JITTER * luck)
        self.next_poll = min(now + wait, max(self.deadline, now))
        self.interval = min(self.interval * GROWTH, MAX_INTERVAL_S)

    def overdue(self, now: float) -> EvalWaitTimeoutError:
        """Return the error of a run that did not end before the deadline; the run continues at the service."""
        error = EvalWaitTimeoutError(self.run_id, waited=now - self.since, status=self.status)
        error.__cause__ = self.last_error
        return error


class EvalPoller:
    """A poller of many runs with bounded concurrency; open it with `async with`."""

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
        """Wait until a run has ended, and return it; the first poll is immediate.

        Transient errors are retried until the deadline. Raises EvalWaitTimeoutError, and the other errors of reading.
        """
        now = self._clock()
        watched = Watched(run_id, since=now, deadline=now + timeout_s, next_poll=now)
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
            due = sorted((w for w in self._watched if w.next_poll <= now), key=lambda w: w.next_poll)
            await asyncio.gather(*(self._poll_run(watched) for watched in due[:MAX_CONCURRENT_POLLS]))
            await self._until_next()

    async def _until_next(self) -> None:
        """Sleep until a run is due or a run is added."""
        next_poll = min((watched.next_poll for watched in self._watched), default=None)
        wait = None if next_poll is None else max(0.0, next_poll - self._clock())
        with suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await self._more.wait()

    async def _poll_run(self, watched: Watched) -> None:
        try:
            run = await self._read_or_note_error(watched)
        except Exception as error:  # noqa: BLE001 - raised in the waiting caller
            self._end(watched, error)
            return
        if run is not None and run.is_terminal:
            self._end(watched, run)
        else:
            self._reschedule(watched)

    async def _read_or_note_error(self, watched: Watched) -> EvalRun | None:
        try:
            run = await self._read(watched.run_id)
        except ParetaError as error:
            watched.last_error = if_transient(error)
            return None
        watched.status = run.status
        return run

    def _reschedule(self, watched: Watched) -> None:
        now = self._clock()
        if now >= watched.deadline:
            self._end(watched, watched.overdue(now))
        else:
            watched.schedule(now, self._luck())

    def _end(self, watched: Watched, end: EvalRun | Exception) -> None:
        self._watched.discard(watched)
        if watched.end.done():  # the caller was cancelled
            return
        if isinstance(end, EvalRun):
            watched.end.set_result(end)
        else:
            watched.end.set_exception(end)
