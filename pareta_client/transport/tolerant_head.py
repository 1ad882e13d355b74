"""Heads of answers that httpx reads and aiohttp's parser refuses, put right before it sees them.

A refused head would cost a paid answer: an answer with `Content-Length` beside `Transfer-Encoding: chunked` is not
allowed (RFC 9112, 6.3), but gateways send it, and the chunks say where it ends.
"""

import re
from typing import Any

from aiohttp import ClientPayloadError
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError

LONGEST_HEAD = 100 * 1024
"""Bytes of one head; as many as httpx (h11) takes."""
LONGEST_LENGTH = 20
"""Digits of a Content-Length from which on it is left to the parser to refuse."""
MOST_HEADERS = LONGEST_HEAD // 4
"""Headers of one head: more do not fit into LONGEST_HEAD."""
_END = re.compile(rb"\n\r?\n")
_LENGTH = re.compile(rb"^content-length[ \t]*:[ \t]*([^\r\n]*?)[ \t]*\r?\n", re.IGNORECASE | re.MULTILINE)
_FRAMING = re.compile(rb"^(?:content-length|transfer-encoding)[ \t]*:[^\n]*\n", re.IGNORECASE | re.MULTILINE)
_CHUNKED = re.compile(rb"^transfer-encoding[ \t]*:[ \t]*chunked[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)


class TolerantResponseHandler(ResponseHandler):
    """aiohttp's protocol of one connection, with each answer's head put right and bytes after its end passed by."""

    _head: bytes | None = None
    _left: int | None = None

    def set_response_params(self, **params: Any) -> None:
        """Expect the head of the next answer."""
        self._head, self._left = b"", None
        super().set_response_params(**params)

    def data_received(self, data: bytes) -> None:
        """Hand on what arrived, a head only once it is whole."""
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
        """Raise what the parser cannot read also from a body whose head was handed on: aiohttp would wait for more."""
        body = self._payload
        super().set_exception(exc, *cause)
        if isinstance(exc, HttpProcessingError) and body is not None and body.exception() is None:
            body.set_exception(ClientPayloadError(f"the body cannot be read: {exc.message.strip()}"))

    def _past_head(self, received: bytes, new: int) -> bytes:
        """Return what may be handed on: nothing while the head is not whole."""
        start, searched = 0, max(0, len(received) - new - 3)
        while True:
            end = _end_of_head(received, max(start, searched))
            if end < 0:
                return self._unfinished(received[start:])
            if not _is_informational(received[start:end]):
                break
            start = end  # 100 Continue and the like: the answer's own head follows
        self._head = None
        head, length = tolerated(received[start:end])
        rest = received[end:]
        if length is None:
            # By itself: where the parser cannot read what follows, the status and the receipt count all the same.
            super().data_received(head)
            return rest
        if len(rest) > length:
            self._close_after(head + rest[:length])
            return b""
        self._left = length - len(rest)
        super().data_received(head + rest)
        return b""

    def _unfinished(self, head: bytes) -> bytes:
        may_be_head = len(head) < LONGEST_HEAD and head.startswith(b"HTTP/"[: len(head)])
        self._head = head if may_be_head else None
        return b"" if may_be_head else head

    def _close_after(self, last: bytes) -> None:
        # Whatever follows the declared end of an answer belongs to nothing: the connection cannot be used again.
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


def tolerated(head: bytes) -> tuple[bytes, int | None]:
    """Return a head without lengths that contradict its chunks or repeat one another, and the length of its body.

    The length is None if chunks, or the end of the connection, end the body.
    """
    lower = head.lower()
    at = lower.find(b"\ncontent-length")
    if head[9:12] in (b"204", b"304"):  # never a body, whatever else the head says
        return _FRAMING.sub(b"", head), 0
    if at < 0:
        return head, None
    if b"\ntransfer-encoding" in lower or lower.find(b"\ncontent-length", at + 1) > 0:
        return _reconciled(head)
    value = lower[at : lower.find(b"\n", at + 1)].partition(b":")[2].strip()
    return (head, int(value)) if value.isdigit() and len(value) < LONGEST_LENGTH else _reconciled(head)


def _reconciled(head: bytes) -> tuple[bytes, int | None]:
    if _CHUNKED.search(head):
        return _LENGTH.sub(b"", head), None
    values = {value.strip() for length in _LENGTH.findall(head) for value in length.split(b",")}
    value = values.pop() if values else b""
    if values or not value.isdigit() or len(value) >= LONGEST_LENGTH:
        return head, None
    status, _, rest = head.partition(b"\n")
    return status + b"\ncontent-length: %s\r\n" % value + _LENGTH.sub(b"", rest), int(value)
