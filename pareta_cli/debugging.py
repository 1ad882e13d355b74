"""Errors on standard error; their tracebacks only under `--debug`."""

import logging
import sys
import traceback
from contextvars import ContextVar

from pareta_batch import logs_are_json, masked

log = logging.getLogger("pareta_cli")

debug: ContextVar[bool] = ContextVar("debug", default=False)
"""Whether `--debug` was passed to the running command."""


def print_traceback(error: BaseException) -> None:
    """Print the traceback of an error to standard error if `--debug` was passed; keys and passwords are masked."""
    if debug.get():
        sys.stderr.write(masked("".join(traceback.format_exception(error))))


def print_error(text: str) -> None:
    """Print an error on standard error, as a log line if log lines are JSON."""
    if logs_are_json():
        log.error("%s", text)
    else:
        sys.stderr.write(f"{text}\n")
