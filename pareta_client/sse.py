"""Server-sent events, decoded without I/O: bytes in, events and comments out (HTML standard, 9.2.6)."""

from collections.abc import Iterator
from dataclasses import dataclass, field

LONGEST_LINE = 16 * 1024 * 1024


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
    """A line grew beyond what any service sends."""


@dataclass
class EventDecoder:
    """Cuts a byte stream into events, however the bytes were cut on the way."""

    _rest: bytes = b""
    _name: str = ""
    _data: list[str] = field(default_factory=list)

    def feed(self, received: bytes) -> Iterator[Event | Comment]:
        """Give what is complete after these bytes; raises LineTooLong."""
        text = self._rest + received
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
                self._data.append(value)
            case "event":
                self._name = value
            case _:
                pass  # id, retry and unknown fields change nothing here: a stream is never resumed

    def _dispatch(self) -> Iterator[Event]:
        name, data = self._name or "message", self._data
        self._name, self._data = "", []
        if data:
            yield Event(name, "\n".join(data))
