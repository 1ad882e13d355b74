"""Signals of a run: SIGINT, SIGTERM and SIGHUP stop sending; calls in flight finish and settle."""

import asyncio
import os
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from contextvars import copy_context
from typing import Any, TypeVar

from pareta_batch import OpenSessions

T = TypeVar("T")
Handler = Callable[[int, Any], None]  # signal number, stack frame (unused)

SIGNAL_REASONS = {
    signal.SIGINT: "Ctrl-C",
    signal.SIGTERM: "the process received SIGTERM",
    signal.SIGHUP: "the terminal was closed (SIGHUP)",
}
GRACE_S = 60.0
"""Seconds from SIGTERM or SIGHUP until the run is cancelled. Raising it risks SIGKILL before calls settle."""


def run_until_interrupted(work: Callable[[], Awaitable[T]], notify: Callable[[str], None]) -> T:
    """Run a coroutine on its own event loop, and return its result; signals stop open batches or cancel the run.

    After the first signal, calls in flight finish and settle. A second Ctrl-C cancels. Raises the error of the
    coroutine, or CancelledError.

    Args:
        work: Makes the coroutine, or another awaitable.
        notify: Receives each message for the user.
    """
    run = _Run(notify)
    outcome: Future[T] = Future()

    def serve() -> None:
        try:
            outcome.set_result(asyncio.run(run.work(work())))
        except BaseException as error:  # noqa: BLE001 - raised by outcome.result()
            outcome.set_exception(error)

    # Not on the main thread: there Prefect raises an exception at the current line for SIGTERM.
    context = copy_context()
    context.run(run.sessions.own)
    thread = threading.Thread(target=context.run, args=(serve,), name="flow")
    with _handled(run.signalled):
        thread.start()
        thread.join()
    return outcome.result()


class _Run:
    """A running coroutine and the signals that it received."""

    def __init__(self, notify: Callable[[str], None]) -> None:
        self.sessions = OpenSessions()
        self._notify = notify
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None
        self._early_signal: signal.Signals | None = None
        self._ending = False

    async def work(self, work: Awaitable[T]) -> T:
        """Run the coroutine so that it can be interrupted."""
        task = asyncio.ensure_future(work)
        self._task = task
        self._loop = asyncio.get_running_loop()
        if self._early_signal is not None:
            self._interrupt(self._early_signal)
        return await task

    def signalled(self, number: int, frame: Any) -> None:
        """Handle a signal, on the main thread."""
        if self._loop is None:
            self._early_signal = signal.Signals(number)
            return
        with suppress(RuntimeError):  # the loop is closed after the run
            self._loop.call_soon_threadsafe(self._interrupt, signal.Signals(number))

    def _interrupt(self, number: signal.Signals) -> None:
        assert self._loop is not None
        assert self._task is not None
        repeated, self._ending = self._ending, True
        if self.sessions.stop_all("Interrupted", SIGNAL_REASONS[number]):
            again = "; press Ctrl-C again to cancel them" if number is signal.SIGINT else ""
            self._notify(f"stopping: {SIGNAL_REASONS[number]}: calls in flight finish and settle{again}")
            if number is not signal.SIGINT:
                # No user can send a second signal.
                self._loop.call_later(GRACE_S, self._task.cancel)
        elif number is signal.SIGINT or not repeated:
            # A shell repeats SIGHUP; only a second Ctrl-C is deliberate.
            self._task.cancel()


@contextmanager
def _handled(handler: Handler) -> Iterator[None]:
    """Handle the signals while the body runs; SIGHUP remains ignored under nohup."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handled = [number for number in SIGNAL_REASONS if number is not signal.SIGHUP or _hangup_counts()]
    before = {number: signal.signal(number, handler) for number in handled}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


def _hangup_counts() -> bool:
    return signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN


@contextmanager
def hangup_terminates() -> Iterator[None]:
    """Treat SIGHUP as SIGTERM while the body runs in its own process, where Prefect drains on SIGTERM."""
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGHUP) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGHUP, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
