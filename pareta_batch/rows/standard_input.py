"""Standard input as a dataset: kept in a temporary file, because a batch reads its dataset more than once."""

import io
import os
import shutil
import sys
import tempfile
from functools import cache
from typing import IO

from pareta_batch.errors import DatasetError


def standard_input() -> IO[bytes]:
    """Open what standard input holds, from its beginning; the first call reads it to its end.

    Raises DatasetError if it is closed or a terminal.
    """
    return io.BufferedReader(_Reader(_kept()))


@cache
def _kept() -> int:
    """Return the descriptor of a file without a name, which lasts as long as the process."""
    if sys.stdin is None or sys.stdin.closed or sys.stdin.isatty():
        raise DatasetError(["standard input: no data; pipe a file into the command, or name a file as dataset"])
    with tempfile.TemporaryFile() as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
        file.flush()
        return os.dup(file.fileno())


class _Reader(io.RawIOBase):
    """An own position in a file that others read too."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: os.fstat(self._descriptor).st_size}[whence]
        self._position = origin + offset
        return self._position

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        content = os.pread(self._descriptor, len(buffer), self._position)
        buffer[: len(content)] = content
        self._position += len(content)
        return len(content)
