"""An event loop in its own thread: cancelling tasks of the caller's loop does not cancel work on this one."""

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

MAX_SELECT_DESCRIPTOR = 1024
"""First file descriptor that `select()` does not accept."""
MAX_LOOP_FAULTS = 8
"""Exceptions that may leave the event loop before it is abandoned; higher only delays the end."""


class LoopThread:
    """An event loop in a thread, for coroutines that callers await from another loop.

    SystemExit and KeyboardInterrupt leave an event loop: `on_fault` is called and the loop is started again. After
    `MAX_LOOP_FAULTS` of them, every awaited coroutine raises UnexpectedError.
    """

    def __init__(
        self, name: str, on_fault: Callable[[BaseException], None] = lambda error: None, *, daemon: bool | None = None
    ) -> None:
        self._loop = asyncio.SelectorEventLoop(_selector())
        self._on_fault = on_fault
        self._guard = threading.Lock()
        self._awaited: dict[Future[Any], Coroutine[Any, Any, Any]] = {}
        self._dead: UnexpectedError | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=daemon)
        self._thread.start()

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run work on this loop and return its result; cancelling the caller does not cancel the work."""
        running = asyncio.wrap_future(self.submit(work))
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            running.add_done_callback(_retrieve_exception)
            raise

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Start work on this loop; cancelling its future cancels it."""
        with self._guard:
            if self._dead is not None:
                work.close()
                raise self._dead
            awaited = asyncio.run_coroutine_threadsafe(work, self._loop)
            self._awaited[awaited] = work
        awaited.add_done_callback(lambda _: self._awaited.pop(awaited, None))
        return awaited

    def call_soon(self, act: Callable[[], object]) -> None:
        """Call a function on this loop; its exceptions go to `on_fault`."""

        def guarded() -> None:
            try:
                act()
            except BaseException as error:  # noqa: BLE001 - asyncio would only log it
                self._on_fault(error)

        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(guarded)

    def close(self, last: Coroutine[Any, Any, None], *, within_s: float) -> None:
        """Wait `within_s` seconds for running work, cancel what is left, run the `last` work, and end the thread.

        This blocks on purpose: a second cancellation would interrupt an awaited shutdown.
        """
        try:
            self.submit(_wind_up(last, within_s)).result()
        except UnexpectedError:
            last.close()
            if self._dead is None:
                raise
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def _run(self) -> None:
        faults: list[BaseException] = []
        while len(faults) < MAX_LOOP_FAULTS:
            try:
                self._loop.run_forever()
            except BaseException as error:  # noqa: BLE001 - other threads await the running work
                faults.append(error)
                self._on_fault(error)
            else:
                return
        with self._guard:
            self._dead = UnexpectedError.of(faults[-1], "the event loop of the calls")
        self._loop.set_exception_handler(lambda *_: None)  # pending tasks are reported already
        # Work that was submitted last may not have become a task.
        running = [task.get_coro() for task in asyncio.all_tasks(self._loop)]
        for work in (*running, *list(self._awaited.values())):
            with suppress(RuntimeError):  # it awaits in a finally block
                work.close()
        for awaited in list(self._awaited):
            with suppress(InvalidStateError):  # it finished concurrently
                awaited.set_exception(self._dead)


async def _wind_up(last: Coroutine[Any, Any, None], within_s: float) -> None:
    if running := asyncio.all_tasks() - {asyncio.current_task()}:
        _, late = await asyncio.wait(running, timeout=within_s)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
    await last


def _retrieve_exception(abandoned: "asyncio.Future[Any]") -> None:
    # The caller was cancelled; asyncio logs an exception that is never retrieved.
    if not abandoned.cancelled():
        abandoned.exception()


def _selector() -> selectors.BaseSelector:
    return HighResolutionSelector() if sys.platform == "linux" else selectors.DefaultSelector()


class HighResolutionSelector(selectors.EpollSelector):
    """A selector with timers of 0.1 ms resolution, to space calls evenly; epoll rounds up to whole milliseconds."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout > 0 and self.fileno() < MAX_SELECT_DESCRIPTOR:
            # select() accepts epoll's own descriptor, and has a resolution of microseconds.
            select.select([self.fileno()], [], [], timeout)
            timeout = 0
        return super().select(timeout)
