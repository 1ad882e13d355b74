"""How hard we press: a bound on the calls in flight, and one hold for everybody when the service asks for it."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from pareta_batch.errors import UnexpectedError
from pareta_batch.rate_limit.limiter import Call, RateLimiter


class AdmissionGate:
    """Lets calls start, first come first served, as the throttle allows."""

    def __init__(self, limiter: RateLimiter, clock: Callable[[], float] = time.monotonic) -> None:
        self.limiter = limiter
        self._clock = clock
        self._waiting: deque[asyncio.Future[Call | None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._pauses = 0
        self._told_to_pause = False
        self._closed = False

    @property
    def in_flight(self) -> int:
        """Calls that were started and have not come back."""
        return self.limiter.in_flight

    async def enter(self) -> Call | None:
        """Wait until a call may start, and count it as started; None once closed."""
        turn: asyncio.Future[Call | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        with suppress(UnexpectedError):  # the turn holds it
            self._let_in()
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and (call := turn.result()) is not None:
                self.failed(call)
            raise

    def answered(self, call: Call) -> None:
        """Count a call that was answered."""
        self.limiter.answered(call, self._clock())
        self._let_in()

    def failed(self, call: Call) -> None:
        """Count a call that came to nothing for a reason that is not ours to press less on."""
        self.limiter.failed(call, self._clock())
        self._let_in()

    def refused(self, call: Call, retry_after: float | None) -> None:
        """Count a call that was one too many; nobody starts another for `retry_after` seconds."""
        self.limiter.refused(call, self._clock(), retry_after)
        self._let_in()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let nobody in while the body runs; calls in flight go on."""
        self._pauses += 1
        try:
            yield
        finally:
            self._pauses -= 1
            self.limiter.resumed(self._clock())
            self._let_in()

    def obey(self, *, paused: bool, most: int) -> None:
        """Let nobody in while paused, and never have more than `most` in flight; calls in flight go on."""
        if self._told_to_pause and not paused:
            self.limiter.resumed(self._clock())
        self._pauses += paused - self._told_to_pause
        self._told_to_pause = paused
        self.limiter.bound(most)
        self._let_in()

    def close(self) -> None:
        """Let nobody in any more."""
        self._closed = True
        self._let_in()

    def _let_in(self) -> None:
        try:
            self._let_in_as_allowed()
        except BaseException as error:
            # No caller awaits a timer: without this, every row that waits for its turn waits for ever.
            unexpected = UnexpectedError.of(error, "the rate limit")
            while self._waiting:
                if not (turn := self._waiting.popleft()).done():
                    turn.set_exception(unexpected)
            raise unexpected from error

    def _let_in_as_allowed(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting:
            if self._waiting[0].done():  # cancelled while it waited
                self._waiting.popleft()
                continue
            if self._closed:
                self._waiting.popleft().set_result(None)
                continue
            if self._pauses:
                return
            now = self._clock()
            wait = self.limiter.wait(now)
            if wait is None:
                return
            if wait > 0:
                self._timer = asyncio.get_running_loop().call_later(wait, self._let_in)
                return
            call = self.limiter.started(now)
            self._waiting.popleft().set_result(call)
