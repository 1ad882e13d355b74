"""Temporary storage of a dataset's requests: an invalid row is known before the ledger is written."""

import pickle
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import IO, Generic, TypeVar

from pareta_batch.ledger.chunks import in_chunks

T = TypeVar("T")

MEMORY_BYTES = 16_000_000
"""Bytes of a spool in memory before it goes to a temporary file; higher needs more memory."""


class Spool(Generic[T]):
    """Items in chunks, to be read once; `items` and `chunks` are their numbers, `read` the items read so far."""

    def __init__(self, file: IO[bytes], items: Iterable[T], size: int) -> None:
        self._file = file
        self.items = self.chunks = self.read = 0
        for chunk in in_chunks(items, size):
            pickle.dump(chunk, file, pickle.HIGHEST_PROTOCOL)
            self.items += len(chunk)
            self.chunks += 1
        file.seek(0)

    def next(self) -> list[T]:
        """Return the next chunk."""
        chunk: list[T] = pickle.load(self._file)  # noqa: S301 - written by this process
        self.read += len(chunk)
        return chunk


@contextmanager
def spooled(items: Iterable[T], size: int) -> Iterator[Spool[T]]:
    """Yield a spool of all items; raises an error of the items before it yields."""
    with tempfile.SpooledTemporaryFile(MEMORY_BYTES) as file:
        yield Spool(file, items, size)
