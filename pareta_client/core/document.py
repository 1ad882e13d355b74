"""A document to upload: a path, bytes or an open file, streamed rather than read whole."""

import asyncio
import mimetypes
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from io import SEEK_END, BytesIO
from pathlib import Path
from typing import IO, Any

import httpx

CHUNK = 256 * 1024

Uploadable = str | os.PathLike[str] | bytes | bytearray | IO[bytes]


class DocumentStream(httpx.SyncByteStream, httpx.AsyncByteStream):
    """The body of an upload; each iteration starts anew, so an attempt can follow another."""

    def __init__(self, document: "Document") -> None:
        self._document = document

    def __iter__(self) -> Iterator[bytes]:
        with self._document.opened() as file:
            while chunk := file.read(CHUNK):
                yield chunk

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with self._document.opened() as file:
            while chunk := await asyncio.to_thread(file.read, CHUNK):
                yield chunk


class _LeftOpen:
    """A caller's own file, put back to where it was for each attempt and never closed by us."""

    def __init__(self, file: IO[bytes], start: int) -> None:
        self._file, self._start = file, start

    def __enter__(self) -> IO[bytes]:
        self._file.seek(self._start)
        return self._file

    def __exit__(self, *_: object) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Document:
    """What is uploaded: its name, media type and size in bytes."""

    name: str
    mime: str
    size: int
    source: Path | IO[bytes]
    start: int = 0

    def opened(self) -> IO[bytes] | _LeftOpen:
        """Open it for one reading from its beginning."""
        if isinstance(self.source, Path):
            return self.source.open("rb")
        return _LeftOpen(self.source, self.start)

    def read(self) -> bytes:
        """Read it whole; for small ones."""
        with self.opened() as file:
            return file.read()


def document_of(file: Uploadable, mime: str | None) -> Document:
    """Describe what was given; raises TypeError for what cannot be uploaded, OSError for a path that cannot be read."""
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
