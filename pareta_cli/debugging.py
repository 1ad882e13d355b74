"""Tracebacks of errors, printed only under `--debug`."""

import os
import re
import sys
import traceback
from contextvars import ContextVar

from pareta_cli.lifeline import KEY

debug: ContextVar[bool] = ContextVar("debug", default=False)
"""Whether `--debug` was passed to the running command."""

_KEYS = re.compile(r"pareta_sk_[A-Za-z0-9_-]+")
_PASSWORDS = re.compile(r"(://[^/\s:@]*:)[^/\s@]+@")


def print_traceback(error: BaseException) -> None:
    """Print the traceback of an error to standard error if `--debug` was passed; keys and passwords are masked."""
    if debug.get():
        sys.stderr.write(masked("".join(traceback.format_exception(error))))


def masked(text: str) -> str:
    """Return a text without API keys and without passwords in URLs."""
    if (key := os.environ.get(KEY)) and len(key) > 3:
        text = text.replace(key, "pareta_sk_…")
    return _PASSWORDS.sub(r"\1…@", _KEYS.sub("pareta_sk_…", text))
