"""Server-sent events, decoded without I/O: bytes in, events and comments out (HTML standard, 9.2.6)."""

from collections.abc import Iterator
from dataclasses import dataclass, field

LONGEST_LINE = 16 * 1024 * 1024
"""Bytes of one line, and characters of one event; raising it lets a hostile stream fill memory."""
DONE = "[DONE]"
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Event:
    """One event; `name` is "message" where the service gave none."""

    name: str
    data: str


@dataclass(frozen=True, slots=True)
class Comment:
    """One comment line without its colon."""

    text: str


class LineTooLong(ValueError):
    """A line, or the data of one event, grew beyond what any service sends."""


@dataclass
class EventDecoder:
    """Cuts a byte stream into events, however the bytes were cut on the way.

    Beyond the standard: an `error:` line is an event named "error", and events are told apart where a service forgets
    the blank line between them.
    """

    _rest: bytes = b""
    _name: str = ""
    _data: list[str] = field(default_factory=list)
    _size: int = 0
    _has_begun: bool = False

    def feed(self, received: bytes) -> Iterator[Event | Comment]:
        """Give what is complete after these bytes; raises LineTooLong."""
        text = self._rest + received
        if not self._has_begun:
            if len(text) < len(_BOM) and _BOM.startswith(text):
                self._rest = text
                return
            self._has_begun, text = True, text.removeprefix(_BOM)
        # A carriage return at the very end may be the first half of a line end.
        held = b"\r" if text.endswith(b"\r") else b""
        lines = text.removesuffix(held).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._rest = lines.pop() + held
        if len(self._rest) > LONGEST_LINE:
            raise LineTooLong(f"a line of the stream is longer than {LONGEST_LINE} bytes")
        for line in lines:
            yield from self._line(line)

    def end(self) -> Iterator[Event | Comment]:
        """Give what the last bytes hold although no line end followed: some services forget it after the last event."""
        rest, self._rest = self._rest.removesuffix(b"\r"), b""
        if rest:
            yield from self._line(rest)
        yield from self._dispatch()

    def _line(self, line: bytes) -> Iterator[Event | Comment]:
        if not line:
            yield from self._dispatch()
            return
        name, _, value = line.decode("utf-8", "replace").partition(":")
        value = value.removeprefix(" ")
        match name:
            case "":
                yield Comment(value)
            case "data":
                yield from self._add(value)
            case "event":
                self._name = value
            case "error" if value.strip() not in ("", "null"):
                yield from self._dispatch()
                yield Event("error", value)
            case _:
                pass  # id, retry and unknown fields change nothing here: a stream is never resumed

    def _add(self, value: str) -> Iterator[Event]:
        is_done = value.strip() == DONE
        # Two objects in a row are no JSON: between them a blank line was forgotten.
        if self._data and (is_done or (value.startswith("{") and _is_object(self._data))):
            yield from self._dispatch()
        self._data.append(value)
        self._size += len(value)
        if self._size > LONGEST_LINE:
            raise LineTooLong(f"an event of the stream is longer than {LONGEST_LINE} characters")
        if is_done:
            yield from self._dispatch()

    def _dispatch(self) -> Iterator[Event]:
        name, data = self._name or "message", self._data
        self._name, self._data, self._size = "", [], 0
        if data:
            yield Event(name, "\n".join(data))


def _is_object(data: list[str]) -> bool:
    return data[0].startswith("{") and data[-1].rstrip().endswith("}")
