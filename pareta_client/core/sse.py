"""Server-sent events, decoded without I/O: bytes in, events and comments out (HTML standard, 9.2.6)."""

from collections.abc import Iterator
from dataclasses import dataclass, field

MAX_LINE_BYTES = 16 * 1024 * 1024
"""Limit for one line, and in characters for one event; raising it lets a malicious stream use more memory."""
DONE = "[DONE]"
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Event:
    """One event; the default `name` is "message"."""

    name: str
    data: str


@dataclass(frozen=True, slots=True)
class Comment:
    """One comment line without its colon."""

    text: str


class LineTooLong(ValueError):
    """A line, or the data of one event, is longer than the decoder allows."""


@dataclass
class EventDecoder:
    """Incremental decoder: bytes in chunks of any size to events.

    Extensions of the standard: an `error:` line is an event named "error", also without data; a JSON object without
    `data:` is an event; and two events may follow each other without a blank line.
    """

    max_line_bytes: int = MAX_LINE_BYTES
    _buffer: bytes = b""
    _name: str = ""
    _data: list[str] = field(default_factory=list)
    _size: int = 0
    _has_begun: bool = False

    def feed(self, received: bytes) -> Iterator[Event | Comment]:
        """Yield the items that these bytes complete; raise LineTooLong."""
        text = self._buffer + received
        if not self._has_begun:
            if len(text) < len(_BOM) and _BOM.startswith(text):
                self._buffer = text
                return
            self._has_begun, text = True, text.removeprefix(_BOM)
        # A final carriage return may be the first byte of CRLF.
        kept = b"\r" if text.endswith(b"\r") else b""
        lines = text.removesuffix(kept).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._buffer = lines.pop() + kept
        if len(self._buffer) > self.max_line_bytes:
            raise LineTooLong(f"a line of the stream is longer than {self.max_line_bytes} bytes")
        for line in lines:
            yield from self._line(line)

    def end(self) -> Iterator[Event | Comment]:
        """Yield the items of the last bytes; some services omit the line end after the last event."""
        line, self._buffer = self._buffer.removesuffix(b"\r"), b""
        if line:
            yield from self._line(line)
        yield from self._dispatch()

    def _line(self, line: bytes) -> Iterator[Event | Comment]:
        if not line:
            yield from self._dispatch()
            return
        text = line.decode("utf-8", "replace")
        name, _, value = text.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "":
                yield Comment(value)
            case "data":
                yield from self._add(value)
            case "event":
                self._name = value
            case "error" | "Error" if value.strip() not in ("", "null"):
                yield from self._dispatch()
                yield Event("error", value)
            case _ if name.startswith("{"):  # some servers send errors as JSON without `data:`
                yield from self._dispatch()
                yield Event("message", text)
            case _:
                pass  # id, retry and unknown fields are ignored: a stream is never resumed

    def _add(self, value: str) -> Iterator[Event]:
        is_done = value.strip() == DONE
        # Two objects in a row are two events: the service omitted the blank line.
        if self._data and (is_done or (value.startswith("{") and _is_object(self._data))):
            yield from self._dispatch()
        self._data.append(value)
        self._size += len(value)
        if self._size > self.max_line_bytes:
            raise LineTooLong(f"an event of the stream is longer than {self.max_line_bytes} characters")
        if is_done:
            yield from self._dispatch()

    def _dispatch(self) -> Iterator[Event]:
        name, data = self._name or "message", self._data
        self._name, self._data, self._size = "", [], 0
        if data or name.lower() == "error":  # an error event without data is still an error
            yield Event(name, "\n".join(data))


def _is_object(data: list[str]) -> bool:
    return data[0].startswith("{") and data[-1].rstrip().endswith("}")
