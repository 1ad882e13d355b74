"""An event loop in a thread of its own: cancelling the tasks of the caller's loop does not reach what runs here."""

import asyncio
import select
import selectors
import sys
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import Any, TypeVar

from pareta_batch.errors import UnexpectedError

T = TypeVar("T")

MOST_OF_SELECT = 1024
MOST_FAULTS = 8
"""Exceptions that may leave the event loop before it is given up; more would only delay the end."""


class LoopThread:
    """Runs coroutines that the caller awaits from another loop.

    SystemExit and KeyboardInterrupt leave an event loop: `on_fault` is called and the loop goes on. A loop that cannot
    go on raises UnexpectedError from everything that is awaited.
    """

    def __init__(self, name: str, on_fault: Callable[[BaseException], None] = lambda error: None) -> None:
        self._loop = asyncio.SelectorEventLoop(_selector())
        self._on_fault = on_fault
        self._guard = threading.Lock()
        self._awaited: dict[Future[Any], Coroutine[Any, Any, Any]] = {}
        self._dead: UnexpectedError | None = None
        self._thread = threading.Thread(target=self._run, name=name)
        self._thread.start()

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Await work that is done on this loop; when the caller is cancelled, the work goes on."""
        under_way = asyncio.wrap_future(self._submit(work))
        try:
            return await asyncio.shield(under_way)
        except asyncio.CancelledError:
            under_way.add_done_callback(_look_at_exception)
            raise

    def call_soon(self, act: Callable[[], object]) -> None:
        """Call something on this loop soon; what it raises goes to `on_fault`."""

        def guarded() -> None:
            try:
                act()
            except BaseException as error:  # noqa: BLE001 - asyncio would only log it
                self._on_fault(error)

        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(guarded)

    def close(self, last: Coroutine[Any, Any, None], *, within_s: float) -> None:
        """Wait `within_s` seconds for work under way, cancel the rest, do the `last` work, and end the thread.

        It blocks: awaited, a second cancellation would cut it short.
        """
        try:
            self._submit(_wind_up(last, within_s)).result()
        except UnexpectedError:
            last.close()
            if self._dead is None:
                raise
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def _submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        with self._guard:
            if self._dead is not None:
                work.close()
                raise self._dead
            awaited = asyncio.run_coroutine_threadsafe(work, self._loop)
            self._awaited[awaited] = work
        awaited.add_done_callback(lambda _: self._awaited.pop(awaited, None))
        return awaited

    def _run(self) -> None:
        faults: list[BaseException] = []
        while len(faults) < MOST_FAULTS:
            try:
                self._loop.run_forever()
            except BaseException as error:  # noqa: BLE001 - whatever it is, the work under way is awaited elsewhere
                faults.append(error)
                self._on_fault(error)
            else:
                return
        with self._guard:
            self._dead = UnexpectedError.of(faults[-1], "the event loop of the calls")
        self._loop.set_exception_handler(lambda *_: None)  # its tasks never end: that is told already
        # Work that was submitted last may not have become a task.
        under_way = [task.get_coro() for task in asyncio.all_tasks(self._loop)]
        for work in (*under_way, *list(self._awaited.values())):
            with suppress(RuntimeError):  # it awaits something in its end
                work.close()
        for awaited in list(self._awaited):
            with suppress(InvalidStateError):  # it has ended meanwhile
                awaited.set_exception(self._dead)


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
    return HighResolutionSelector() if sys.platform == "linux" else selectors.DefaultSelector()


class HighResolutionSelector(selectors.EpollSelector):
    """Keeps timers to a tenth of a millisecond, so that calls can be spaced evenly; epoll rounds up to whole ones."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout > 0 and self.fileno() < MOST_OF_SELECT:
            # epoll's own descriptor can be waited for, and select() knows microseconds.
            select.select([self.fileno()], [], [], timeout)
            timeout = 0
        return super().select(timeout)
