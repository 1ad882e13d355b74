"""Signals that reach a command outside of a run: it ends with the status of an early stop, and cleans up."""

import atexit
import os
import signal
from contextlib import suppress
from types import FrameType
from typing import NoReturn

IMPORTLIB = "<frozen importlib._bootstrap>"
STOPPED = 3
"""The exit status of a command that stopped early."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def end_on_signals() -> None:
    """Raise SystemExit for each of the signals, so that files that are half written are removed.

    A signal that the caller ignores, as `nohup` does, stays ignored. A run has handlers of its own.
    """
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)


def _end(number: int, frame: FrameType | None) -> NoReturn:
    for each in SIGNALS:
        # A shell repeats SIGHUP: it must not interrupt the cleanup. SIG_IGN would print an error for a pending one.
        signal.signal(each, lambda *_: None)
    atexit.register(_ignore_signals)
    with suppress(OSError):  # the reader of the output is closed
        # Not through sys.stderr: the signal may have come while that was being written to.
        os.write(2, f"stopped by {signal.Signals(number).name} before it was done; run it again\n".encode())
    if _is_importing(frame):
        # An exception in a callback of the import system is printed, and ignored.
        os._exit(STOPPED)
    raise SystemExit(STOPPED)


def _ignore_signals() -> None:
    # The interpreter restores the default of every other handler while it ends.
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename == IMPORTLIB:
            return True
        frame = frame.f_back
    return False
