"""Incremental content decoding in bounded memory; a body with a wrong content-encoding is read as plain.

httpx's decoders stop after the first gzip member, reject a plain body, and return a gzip bomb in one chunk.
"""

import re
import zlib
from collections.abc import AsyncIterator, Iterator
from enum import Enum

import httpx

from pareta_client.core import RawHeaders

PIECE_BYTES = 256 * 1024
"""Bytes decompressed at once; raising it costs memory for a gzip bomb."""
MAX_ENCODINGS = 5
"""Nested encodings of one body; raising it costs a buffer for each."""
_GZIP_MAGIC = b"\x1f\x8b"
_ZLIB_HEADERS = (b"x\x01", b"x\x5e", b"x\x9c", b"x\xda")
_SNIFF_BYTES = 6
"""Bytes needed to distinguish a plain body from a deflated one."""
_PLAIN = re.compile(
    rb"""(\xef\xbb\xbf)?\s*(\{\s*["}]|\[\s*[]["{\dtfn-]|"|<[!?\w]|data:|event|error|id:|retry|:[ \r\n]|null)"""
)


class _State(Enum):
    START = "at the start of a body or of a gzip member"
    INFLATING = "inflating"
    PLAIN = "plain"
    ENDED = "ended: the following bytes are padding"


class Decoder:
    """Incremental decoder of one gzip or deflate encoding, for chunks of any size."""

    def __init__(self, is_gzip: bool) -> None:
        self._is_gzip = is_gzip
        self._state = _State.START
        self._start = b""
        self._inflate = zlib.decompressobj()
        self._has_member = False

    def feed(self, received: bytes, *, is_last: bool = False) -> Iterator[bytes]:
        """Yield the decoded bytes in chunks of at most PIECE_BYTES; raise httpx.DecodingError."""
        left, self._start = self._start + received, b""
        while True:
            match self._state:
                case _State.START if not left or (len(left) < self._sniff_bytes and not is_last):
                    self._start = left
                    return
                case _State.START:
                    self._begin(left)
                case _State.INFLATING:
                    piece = self._inflated(left)
                    if piece:
                        yield piece
                    if self._inflate.eof:
                        left = self._end_member()
                        continue
                    left = self._inflate.unconsumed_tail
                    if not left and len(piece) < PIECE_BYTES:
                        return
                case _State.PLAIN | _State.ENDED:
                    if left and self._state is _State.PLAIN:
                        yield left
                    return

    @property
    def _sniff_bytes(self) -> int:
        return len(_GZIP_MAGIC) if self._is_gzip else _SNIFF_BYTES

    def _begin(self, start: bytes) -> None:
        self._state = _State.INFLATING
        if start.startswith(_GZIP_MAGIC):
            self._is_gzip = True  # also where the header says deflate
        elif self._is_gzip and not self._has_member and start.startswith(_ZLIB_HEADERS):
            self._is_gzip = False
        if self._is_gzip:
            self._inflate = zlib.decompressobj(16 + zlib.MAX_WBITS)
            if not start.startswith(_GZIP_MAGIC):
                self._state = _State.ENDED if self._has_member else _State.PLAIN
        elif _is_zlib(start):
            self._inflate = zlib.decompressobj()
        elif _PLAIN.match(start):
            self._state = _State.PLAIN
        else:  # raw deflate without the zlib format, sent by some servers
            self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)

    def _inflated(self, left: bytes) -> bytes:
        try:
            return self._inflate.decompress(left, PIECE_BYTES)
        except zlib.error as error:
            raise httpx.DecodingError(f"the body does not match its content-encoding: {error}") from error

    def _end_member(self) -> bytes:
        self._has_member = True
        self._state = _State.START if self._is_gzip else _State.ENDED
        return self._inflate.unused_data


def _is_zlib(start: bytes) -> bool:
    return len(start) > 1 and start[0] & 0x0F == 8 and (start[0] << 8 | start[1]) % 31 == 0


def decoders_for(headers: RawHeaders) -> list[Decoder]:
    """Return the decoders of a body in order of application; raise httpx.DecodingError for too many encodings.

    An encoding that was not requested (br, zstd) is ignored, because the body may be plain.
    """
    encodings = b",".join(value for name, value in headers if name.lower() == b"content-encoding").lower()
    names = [name.strip() for name in encodings.split(b",")]
    decoders = [Decoder(name != b"deflate") for name in reversed(names) if name in (b"gzip", b"x-gzip", b"deflate")]
    if len(decoders) > MAX_ENCODINGS:
        raise httpx.DecodingError(f"the body has {len(decoders)} content encodings, more than {MAX_ENCODINGS}")
    return decoders


def decoded(pieces: Iterator[bytes], headers: RawHeaders) -> Iterator[bytes]:
    """Return an iterator over the decompressed body."""
    for decoder in decoders_for(headers):
        pieces = _through(pieces, decoder)
    return pieces


def _through(pieces: Iterator[bytes], decoder: Decoder) -> Iterator[bytes]:
    for piece in pieces:
        yield from decoder.feed(piece)
    yield from decoder.feed(b"", is_last=True)


def decoded_async(pieces: AsyncIterator[bytes], headers: RawHeaders) -> AsyncIterator[bytes]:
    """Return an iterator over the decompressed body."""
    for decoder in decoders_for(headers):
        pieces = _through_async(pieces, decoder)
    return pieces


async def _through_async(pieces: AsyncIterator[bytes], decoder: Decoder) -> AsyncIterator[bytes]:
    async for piece in pieces:
        for part in decoder.feed(piece):
            yield part
    for part in decoder.feed(b"", is_last=True):
        yield part
