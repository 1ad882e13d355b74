"""Correction of response heads that httpx accepts and aiohttp's parser rejects.

A rejected head would lose a paid answer. `Content-Length` together with `Transfer-Encoding: chunked` is not allowed
(RFC 9112, 6.3), but gateways send both, and the chunks define the end of the body.
"""

import re
from typing import Any

from aiohttp import ClientPayloadError
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError

MAX_HEAD_BYTES = 100 * 1024
"""Limit of one head, the same as in httpx (h11); raising it costs memory for a malicious reply."""
MAX_LENGTH_DIGITS = 20
"""A Content-Length with at least this number of digits is left to the parser, which rejects it."""
MAX_HEADERS = MAX_HEAD_BYTES // 4
"""Limit of headers in one head: more do not fit into MAX_HEAD_BYTES."""
_END = re.compile(rb"\n\r?\n")
_LENGTH = re.compile(rb"^content-length[ \t]*:[ \t]*([^\r\n]*?)[ \t]*\r?\n", re.IGNORECASE | re.MULTILINE)
_FRAMING = re.compile(rb"^(?:content-length|transfer-encoding)[ \t]*:[^\n]*\n", re.IGNORECASE | re.MULTILINE)
_CHUNKED = re.compile(rb"^transfer-encoding[ \t]*:[ \t]*chunked[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)


class TolerantResponseHandler(ResponseHandler):
    """aiohttp's protocol of one connection, with corrected heads; bytes after the end of a reply are ignored."""

    _head: bytes | None = None
    _left: int | None = None

    def set_response_params(self, **params: Any) -> None:
        """Reset the parser for the next reply."""
        self._head, self._left = b"", None
        super().set_response_params(**params)

    def data_received(self, data: bytes) -> None:
        """Pass received bytes to aiohttp, a head only when it is complete."""
        if self._head is not None and data:
            data = self._past_head(self._head + data, len(data))
        if self._left is not None:
            surplus = len(data) - self._left
            self._left = max(0, -surplus)
            if surplus > 0:
                self._close_after(data[: len(data) - surplus])
                return
        if data:
            super().data_received(data)

    def set_exception(self, exc: BaseException, *cause: Any) -> None:
        """Set a parser error on the body too; aiohttp alone would wait for more bytes of the body."""
        body = self._payload
        super().set_exception(exc, *cause)
        if isinstance(exc, HttpProcessingError) and body is not None and body.exception() is None:
            body.set_exception(ClientPayloadError(f"invalid body: {exc.message.strip()}"))

    def _past_head(self, received: bytes, new_bytes: int) -> bytes:
        """Return the bytes for aiohttp; none while the head is incomplete."""
        start, searched = 0, max(0, len(received) - new_bytes - 3)
        while True:
            end = _end_of_head(received, max(start, searched))
            if end < 0:
                return self._incomplete(received[start:])
            if not _is_informational(received[start:end]):
                break
            start = end  # 100 Continue etc.: the head of the final reply follows
        self._head = None
        head, length = corrected(received[start:end])
        rest = received[end:]
        if length is None:
            # Passed separately: an invalid body must not lose the status and the receipt.
            super().data_received(head)
            return rest
        if len(rest) > length:
            self._close_after(head + rest[:length])
            return b""
        self._left = length - len(rest)
        super().data_received(head + rest)
        return b""

    def _incomplete(self, head: bytes) -> bytes:
        may_be_head = len(head) < MAX_HEAD_BYTES and head.startswith(b"HTTP/"[: len(head)])
        self._head = head if may_be_head else None
        return b"" if may_be_head else head

    def _close_after(self, last: bytes) -> None:
        # Bytes after the declared end are invalid: the connection cannot be reused.
        self._left = 0
        self.force_close()
        if last:
            super().data_received(last)
        if self.transport is not None:
            self.transport.close()


def _is_informational(head: bytes) -> bool:
    status = head[9:12]
    return head[:5] == b"HTTP/" and status[:1] == b"1" and status != b"101"


def _end_of_head(received: bytes, start: int) -> int:
    end = received.find(b"\r\n\r\n", start)
    if end >= 0:
        return end + 4
    bare = _END.search(received, start)
    return -1 if bare is None else bare.end()


def corrected(head: bytes) -> tuple[bytes, int | None]:
    """Return the head without contradictory or repeated lengths, and the length of the body in bytes.

    The length is None if chunks or the end of the connection delimit the body.
    """
    lower = head.lower()
    at = lower.find(b"\ncontent-length")
    if head[9:12] in (b"204", b"304"):  # never a body, regardless of the headers
        return _FRAMING.sub(b"", head), 0
    if at < 0:
        return head, None
    if b"\ntransfer-encoding" in lower or lower.find(b"\ncontent-length", at + 1) > 0:
        return _reconciled(head)
    value = lower[at : lower.find(b"\n", at + 1)].partition(b":")[2].strip()
    return (head, int(value)) if value.isdigit() and len(value) < MAX_LENGTH_DIGITS else _reconciled(head)


def _reconciled(head: bytes) -> tuple[bytes, int | None]:
    if _CHUNKED.search(head):
        return _LENGTH.sub(b"", head), None
    values = {value.strip() for length in _LENGTH.findall(head) for value in length.split(b",")}
    value = values.pop() if values else b""
    if values or not value.isdigit() or len(value) >= MAX_LENGTH_DIGITS:
        return head, None
    status, _, rest = head.partition(b"\n")
    return status + b"\ncontent-length: %s\r\n" % value + _LENGTH.sub(b"", rest), int(value)
