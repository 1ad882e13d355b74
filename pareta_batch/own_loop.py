"""An event loop in a thread of its own: cancelling the tasks of the caller's loop does not reach what runs here."""

import asyncio
import select
import selectors
import sys
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

MOST_OF_SELECT = 1024


class OwnLoop:
    """Runs coroutines that the caller awaits from another loop."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.SelectorEventLoop(_selector())
        self._thread = threading.Thread(target=self._loop.run_forever, name=name)
        self._thread.start()

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Await work that is done on this loop; when the caller is cancelled, the work goes on."""
        under_way = asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))
        try:
            return await asyncio.shield(under_way)
        except asyncio.CancelledError:
            under_way.add_done_callback(_look_at_exception)
            raise

    def call_soon(self, act: Any) -> None:
        """Let this loop call something without arguments soon."""
        self._loop.call_soon_threadsafe(act)

    def close(self, last: Coroutine[Any, Any, None], *, within_s: float) -> None:
        """Give what is under way so many seconds to end, cancel the rest, do the `last` work, and end.

        It blocks: awaited, a second cancellation would cut it short.
        """
        asyncio.run_coroutine_threadsafe(_wind_up(last, within_s), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _wind_up(last: Coroutine[Any, Any, None], within_s: float) -> None:
    if under_way := asyncio.all_tasks() - {asyncio.current_task()}:
        _, late = await asyncio.wait(under_way, timeout=within_s)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
    await last


def _look_at_exception(under_way: "asyncio.Future[Any]") -> None:
    # Nobody awaits it any more; unseen, asyncio would log it as forgotten.
    if not under_way.cancelled():
        under_way.exception()


def _selector() -> selectors.BaseSelector:
    return _PunctualSelector() if sys.platform == "linux" else selectors.DefaultSelector()


class _PunctualSelector(selectors.EpollSelector):
    """Keeps timers to a tenth of a millisecond, so that calls can be spaced evenly; epoll rounds up to whole ones."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout > 0 and self.fileno() < MOST_OF_SELECT:
            # epoll's own descriptor can be waited for, and select() knows microseconds.
            select.select([self.fileno()], [], [], timeout)
            timeout = 0
        return super().select(timeout)
