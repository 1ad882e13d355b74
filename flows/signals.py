"""Signals of a run: Ctrl-C, a termination and a closed terminal stop sending, and let what is in flight settle."""

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from contextvars import copy_context
from typing import Any, TypeVar

from pareta_batch import stop_open_sessions

T = TypeVar("T")
Handler = Callable[[int, Any], None]  # the frame, which nobody looks at

WHY = {
    signal.SIGINT: "Ctrl-C",
    signal.SIGTERM: "the process was asked to end (SIGTERM)",
    signal.SIGHUP: "the terminal was closed (SIGHUP)",
}
GRACE_S = 60.0
"""Seconds from SIGTERM or SIGHUP until a run that still works is cancelled; raising it risks a SIGKILL first."""


def run_until_interrupted(work: Callable[[], Coroutine[Any, Any, T]], told: Callable[[str], None]) -> T:
    """Run a coroutine on a loop of its own; signals stop the batches that are sending, or cancel it.

    The first signal lets calls in flight finish and settle; a second Ctrl-C cancels. `told` gets what to say of it.
    Raises what the coroutine raises, CancelledError when it was cancelled.
    """
    run = _Run(told)
    outcome: Future[T] = Future()

    def serve() -> None:
        try:
            outcome.set_result(asyncio.run(run.work(work())))
        except BaseException as error:  # noqa: BLE001 - raised where the result is waited for
            outcome.set_exception(error)

    # Not on the main thread: there Prefect turns SIGTERM into an exception at whatever line is being executed.
    thread = threading.Thread(target=copy_context().run, args=(serve,), name="flow")
    with _handled(run.signalled):
        thread.start()
        thread.join()
    return outcome.result()


class _Run:
    """A coroutine that runs, and what the signals that came have asked of it."""

    def __init__(self, told: Callable[[str], None]) -> None:
        self._told = told
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None
        self._came_early: signal.Signals | None = None
        self._ending = False

    async def work(self, work: Coroutine[Any, Any, T]) -> T:
        """Run the coroutine so that it can be interrupted."""
        task = asyncio.ensure_future(work)
        self._task = task
        self._loop = asyncio.get_running_loop()
        if self._came_early is not None:
            self._ask(self._came_early)
        return await task

    def signalled(self, number: int, frame: Any) -> None:
        """Handle a signal, on the main thread."""
        if self._loop is None:
            self._came_early = signal.Signals(number)
            return
        with suppress(RuntimeError):  # the loop is closed: the run is over
            self._loop.call_soon_threadsafe(self._ask, signal.Signals(number))

    def _ask(self, number: signal.Signals) -> None:
        assert self._loop is not None
        assert self._task is not None
        asked_before, self._ending = self._ending, True
        if stop_open_sessions("Interrupted", WHY[number]):
            again = "; Ctrl-C again to give them up" if number is signal.SIGINT else ""
            self._told(f"stopping: {WHY[number]}: calls in flight finish and settle{again}")
            if number is not signal.SIGINT:
                # Nobody is there to ask a second time.
                self._loop.call_later(GRACE_S, self._task.cancel)
        elif number is signal.SIGINT or not asked_before:
            # A shell repeats SIGHUP: only a person asks twice on purpose.
            self._task.cancel()


@contextmanager
def _handled(handler: Handler) -> Iterator[None]:
    """Handle the signals while the body runs; SIGHUP stays ignored under nohup."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    wanted = [number for number in WHY if number is not signal.SIGHUP or _hangup_counts()]
    before = {number: signal.signal(number, handler) for number in wanted}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


def _hangup_counts() -> bool:
    return signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN


@contextmanager
def hangup_terminates() -> Iterator[None]:
    """Treat SIGHUP as SIGTERM while the body runs in a process of its own, where Prefect drains on SIGTERM."""
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGHUP) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGHUP, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
