"""Documents to upload: a path, bytes or an open file, streamed in chunks."""

import asyncio
import mimetypes
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from io import SEEK_END, BytesIO
from pathlib import Path
from typing import IO, Any

import httpx

CHUNK_BYTES = 256 * 1024
"""Bytes read and sent at once; raising it costs memory for each upload."""

Uploadable = str | os.PathLike[str] | bytes | bytearray | IO[bytes]


class DocumentStream(httpx.SyncByteStream, httpx.AsyncByteStream):
    """Body of an upload; each iteration starts at the beginning, so that an attempt can be repeated."""

    def __init__(self, document: "Document") -> None:
        self._document = document

    def __iter__(self) -> Iterator[bytes]:
        with self._document.open() as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with self._document.open() as file:
            while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
                yield chunk


class _BorrowedFile:
    """A file of the caller: rewound for each attempt, never closed."""

    def __init__(self, file: IO[bytes], start: int) -> None:
        self._file, self._start = file, start

    def __enter__(self) -> IO[bytes]:
        self._file.seek(self._start)
        return self._file

    def __exit__(self, *_: object) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Document:
    """A document to upload; `size` and `start` are in bytes."""

    name: str
    mime: str
    size: int
    source: Path | IO[bytes]
    start: int = 0

    def open(self) -> IO[bytes] | _BorrowedFile:
        """Open the document at its beginning."""
        if isinstance(self.source, Path):
            return self.source.open("rb")
        return _BorrowedFile(self.source, self.start)

    def read(self) -> bytes:
        """Read the whole document into memory."""
        with self.open() as file:
            return file.read()


def document_of(file: Uploadable, mime: str | None) -> Document:
    """Return the document of a path, bytes or file.

    Raises TypeError for another type, and OSError for a path that is not readable.
    """
    if isinstance(file, bytes | bytearray):
        return _document("upload", mime, len(file), BytesIO(file))
    if isinstance(file, str | os.PathLike):
        path = Path(file)
        return _document(path.name, mime, path.stat().st_size, path)
    if not hasattr(file, "read"):
        raise TypeError(f"file must be a path, bytes or a file opened for binary reading, not {type(file).__name__}")
    name = Path(str(getattr(file, "name", "") or "upload")).name
    if not (hasattr(file, "seekable") and file.seekable()):
        content = _bytes_of(file.read())
        return _document(name, mime, len(content), BytesIO(content))
    start = file.tell()
    if isinstance(file.read(0), str):
        content = _bytes_of(file.read())
        return _document(name, mime, len(content), BytesIO(content))
    return _document(name, mime, file.seek(0, SEEK_END) - start, file, start)


def _document(name: str, mime: str | None, size: int, source: Path | IO[bytes], start: int = 0) -> Document:
    guessed = mimetypes.guess_type(name)[0]
    return Document(name, mime or guessed or "application/octet-stream", size, source, start)


def _bytes_of(content: Any) -> bytes:
    return content.encode() if isinstance(content, str) else bytes(content)
