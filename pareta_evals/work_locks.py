"""Locks of eval work: concurrent comparisons may need the same eval set or run."""

import asyncio
from weakref import WeakValueDictionary


class WorkLocks:
    """A lock for each piece of work on each event loop, as long as one of its users holds or awaits it."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[tuple[asyncio.AbstractEventLoop, str], asyncio.Lock] = WeakValueDictionary()

    def one_at_a_time(self, key: str) -> asyncio.Lock:
        """Return the lock of a piece of work on the running event loop."""
        return self._locks.setdefault((asyncio.get_running_loop(), key), asyncio.Lock())


PROCESS_LOCKS = WorkLocks()
"""The locks of all comparisons of this process."""
