"""Printing that ignores a closed standard output."""

import argparse
import errno
import os
import sys
from typing import NoReturn

READER_GONE = {errno.EPIPE, errno.EBADF, errno.EIO}


class Parser(argparse.ArgumentParser):
    """A parser that prints an error of usage in one line."""

    def error(self, message: str) -> NoReturn:
        """Print the message with the next step, and exit with status 2."""
        self.exit(2, f"{self.prog}: {message}; see: {self.prog} --help\n")


def open_closed_streams() -> None:
    """Open the null device for standard streams that were closed at start; libraries expect them to be there."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - a device, until the end
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115


def print_text(text: str) -> None:
    """Print the text; ignore a closed standard output, because a reader may only have wanted the address."""
    try:
        print(text, flush=True)  # noqa: T201
    except OSError as error:
        if error.errno not in READER_GONE:
            raise
        # The buffered text is flushed again at exit, and would fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
