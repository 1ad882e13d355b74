"""Detection, shared by all rows, of a service that is unreachable or that defers every row."""

from dataclasses import dataclass

from pareta_client import APIConnectionError, APITimeoutError, ParetaError

UNREACHABLE_S = 3.0
"""Seconds of failed connections without any answer that stop the batch; higher waits longer for a service to start."""
MIN_FAILED_CONNECTIONS = 2
"""Failed connections that stop the batch, with the above; higher tolerates more lost packets."""
MAX_DEFERRED_ROWS = 6
"""Consecutive rows with a Retry-After beyond the limit that stop the batch; higher sends more rows first."""


@dataclass
class Reachability:
    """Answers and failed connections of one session; times in seconds."""

    _began: float | None = None
    _was_answered: bool = False
    _failures: int = 0
    _deferred_rows: int = 0

    def tried(self, now: float) -> None:
        """Record the time of the first request."""
        if self._began is None:
            self._began = now

    def answered(self) -> None:
        """Count an answer."""
        self._was_answered = True
        self._deferred_rows = 0

    def is_lost(self, error: ParetaError, now: float) -> bool:
        """Return whether the address is unreachable; a service that answered once may be down for a while."""
        if not isinstance(error, APIConnectionError):
            self._was_answered = True
        elif error.unreachable or not (error.never_sent or isinstance(error, APITimeoutError)):
            self._failures += 1
        began = now if self._began is None else self._began
        return not self._was_answered and self._failures >= MIN_FAILED_CONNECTIONS and now - began >= UNREACHABLE_S

    def defers_batch(self) -> bool:
        """Count a row whose Retry-After is beyond the limit; return whether the service defers the whole batch."""
        self._deferred_rows += 1
        return self._deferred_rows >= MAX_DEFERRED_ROWS
