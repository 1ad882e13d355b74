"""Whether a service answers at all, and whether it asks every row to come back much later: one view for all rows."""

from dataclasses import dataclass

from pareta_client import APIConnectionError, APITimeoutError, ParetaError

UNREACHABLE_S = 3.0
"""Seconds of failed connections, none of which was ever answered, that stop the batch. Raising it waits longer for a
service that is about to start."""
LEAST_FAILURES = 2
"""Failed connections that it takes besides: a single one may be a lost packet."""
MOST_PUT_OFF = 6
"""Rows in a row that are told to come back too late; then the service means all of them."""


@dataclass
class Contact:
    """What came back from the service in this session; times in seconds."""

    _began: float | None = None
    _heard: bool = False
    _failures: int = 0
    _put_off: int = 0

    def tried(self, now: float) -> None:
        """Count a request that is sent."""
        if self._began is None:
            self._began = now

    def answered(self) -> None:
        """Count an answer."""
        self._heard = True
        self._put_off = 0

    def is_lost(self, error: ParetaError, now: float) -> bool:
        """Return whether nothing answers at this address; a service that answered once may be away for a while."""
        if not isinstance(error, APIConnectionError):
            self._heard = True
        elif error.unreachable or not (error.never_sent or isinstance(error, APITimeoutError)):
            self._failures += 1
        began = now if self._began is None else self._began
        return not self._heard and self._failures >= LEAST_FAILURES and now - began >= UNREACHABLE_S

    def puts_all_off(self) -> bool:
        """Count a row that is told to come back too late; return whether that holds for the whole batch."""
        self._put_off += 1
        return self._put_off >= MOST_PUT_OFF
