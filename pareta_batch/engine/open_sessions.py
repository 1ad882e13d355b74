"""The open sessions of one owner, who can stop them all."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from pareta_batch.engine.stop import StopSignal


class OpenSessions:
    """The stop signals of the sessions that are opened in the contexts of one owner."""

    def __init__(self) -> None:
        self._open: list[StopSignal] = []

    def own(self) -> None:
        """Take ownership of the sessions that are opened in the current context, and in copies of it."""
        _owner.set(self)

    def stop_all(self, reason: str, message: str) -> bool:
        """Stop every session that still sends; return whether there was one. Safe from any thread."""
        sending = [stop for stop in self._open.copy() if not stop.is_set()]
        for stop in sending:
            stop.stop(reason, message)
        return bool(sending)

    @contextmanager
    def include(self, stop: StopSignal) -> Iterator[None]:
        """Include a session while the body runs."""
        self._open.append(stop)
        try:
            yield
        finally:
            self._open.remove(stop)


def owner_of_sessions() -> OpenSessions:
    """Return the owner of the current context, or a new one."""
    return _owner.get() or OpenSessions()


_owner: ContextVar[OpenSessions | None] = ContextVar("owner", default=None)
