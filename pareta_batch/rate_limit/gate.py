"""Admission of calls: the number in flight, their spacing, and pauses shared by all rows."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from pareta_batch.errors import UnexpectedError
from pareta_batch.rate_limit.account import Allocation, Usage
from pareta_batch.rate_limit.call import Call
from pareta_batch.rate_limit.limiter import RateLimiter
from pareta_client import RateLimits

LOW_SHARE = 1 / 4
"""Rows that wait for admission, as a share of the maximum, that are few; higher makes smaller groups of claims."""
HIGH_SHARE = 3 / 4
"""Answers that wait to be written, as a share of their maximum, that are many; higher makes larger groups of them."""


class AdmissionGate:
    """An asyncio gate that admits calls in order of arrival, as the rate limiter allows.

    `unsettled`: the number of answers that may not be settled, as a function of the maximum of calls in flight. Without
    it, an answered call counts towards that maximum until `settled`, so a crash can lose no more answers than that.
    """

    def __init__(
        self,
        limiter: RateLimiter,
        clock: Callable[[], float] = time.monotonic,
        *,
        unsettled: Callable[[int], int] | None = None,
    ) -> None:
        self.limiter = limiter
        self._most_unsettled = unsettled
        self._clock = clock
        self._waiting: deque[asyncio.Future[Call | None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._unsettled = 0
        self._pauses = 0
        self._pause_requested = False
        self._closed = False

    @property
    def in_flight(self) -> int:
        """Calls that were started and have not returned."""
        return self.limiter.in_flight

    @property
    def is_paused(self) -> bool:
        """Whether a control request paused admission."""
        return self._pause_requested

    def is_short(self, claims: int, outcomes: int) -> bool:
        """Return whether calls could soon wait for the ledger, which is writing some `claims` and `outcomes`.

        That is if few rows wait here or are being claimed, or if many answers wait to be written.
        """
        most = self.limiter.most
        unsettled = self._most_unsettled(most) if self._most_unsettled else most
        return len(self._waiting) + claims <= most * LOW_SHARE or self._unsettled - outcomes >= unsettled * HIGH_SHARE

    @property
    def _is_full(self) -> bool:
        most, in_flight = self.limiter.most, self.limiter.in_flight
        if self._most_unsettled is None:
            return in_flight + self._unsettled >= most
        return in_flight >= most or self._unsettled >= self._most_unsettled(most)

    async def enter(self) -> Call | None:
        """Wait until a call may start, count it as started, and return it; None once the gate is closed."""
        admission: asyncio.Future[Call | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(admission)
        with suppress(UnexpectedError):  # the future holds it
            self._admit()
        try:
            return await admission
        except asyncio.CancelledError:
            if admission.done() and not admission.cancelled() and (call := admission.result()) is not None:
                self.failed(call)
            raise

    def answered(self, call: Call, told: RateLimits | None = None, tokens: int | None = None) -> None:
        """Count a call that was answered, with the limits that its reply told and the tokens that it used."""
        self._unsettled += 1
        self.limiter.answered(call, self._clock(), told, tokens)
        self._admit()

    def settled(self) -> None:
        """Release one answered call whose outcome is durable."""
        self._unsettled -= 1
        self._admit()

    def failed(self, call: Call) -> None:
        """Count a call that failed for a reason other than a rate limit."""
        self.limiter.failed(call, self._clock())
        # Not at once: the caller may have to pause admission for this failure first.
        asyncio.get_running_loop().call_soon(self._admit)

    def refused(self, call: Call, retry_after: float | None, told: RateLimits | None = None) -> None:
        """Count a call that was refused by a rate limit; no call is admitted for `retry_after` seconds."""
        self.limiter.refused(call, self._clock(), retry_after, told)
        self._admit()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Pause admission while the body runs; calls in flight continue."""
        self._pauses += 1
        try:
            yield
        finally:
            self._pauses -= 1
            self.limiter.resumed(self._clock())
            self._admit()

    def apply(self, *, paused: bool, max_in_flight: int) -> None:
        """Apply a control request: pause or resume admission, and set the maximum of calls in flight."""
        if self._pause_requested and not paused:
            self.limiter.resumed(self._clock())
        self._pauses += paused - self._pause_requested
        self._pause_requested = paused
        self.limiter.bound(max_in_flight)
        self._admit()

    def usage(self) -> Usage:
        """Return the report to the other limiters of the account, for one exchange about once a second."""
        return self.limiter.usage(self._clock())

    def allocate(self, allocation: Allocation) -> None:
        """Apply the allocation of the account's limits: its part of the rate, and the pause of the other limiters."""
        self.limiter.allocate(allocation, self._clock())
        self._admit()

    def close(self) -> None:
        """Close the gate: `enter` returns None from now on."""
        self._closed = True
        self._admit()

    def _admit(self) -> None:
        try:
            self._admit_as_allowed()
        except BaseException as error:
            # No caller awaits a timer: without this, all waiting rows would wait forever.
            unexpected = UnexpectedError.of(error, "the rate limit")
            while self._waiting:
                if not (admission := self._waiting.popleft()).done():
                    admission.set_exception(unexpected)
            raise unexpected from error

    def _admit_as_allowed(self) -> None:
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
            if self._pauses or self._is_full:
                return
            now = self._clock()
            wait = self.limiter.wait(now)
            if wait is None:
                return
            if wait > 0:
                self._timer = asyncio.get_running_loop().call_later(wait, self._admit)
                return
            call = self.limiter.started(now)
            self._waiting.popleft().set_result(call)
