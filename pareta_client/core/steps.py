"""What an operation may ask of its driver, and what a driver may tell it.

An operation is a generator: it yields what to do next, a driver does it and sends back what happened. Operations are
built from operations with `yield from`; the drivers are `driver.py` and `async_driver.py`, and in a test a list of
happenings is one.
"""

import sys
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, TypeVar

from pareta_client.core.request import RawHeaders, Request
from pareta_client.errors import APIConnectionError
from pareta_client.retry import Verdict


@dataclass(frozen=True, slots=True)
class Send:
    """Send this request; within `seconds` in all, if bounded. A streamed answer is left open for `Read`.

    `left` is what remains until the deadline; it also bounds a wait for a free connection, which `seconds` does not.
    `most` bounds the decompressed body of a success, in bytes.
    """

    request: Request
    seconds: float | None
    left: float | None = None
    streamed: bool = False
    most: int = sys.maxsize


@dataclass(frozen=True, slots=True)
class Read:
    """Wait for the next bytes of the streamed answer, at most `seconds`."""

    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait; `verdict` says why, None when something is merely being awaited."""

    seconds: float
    verdict: Verdict | None


@dataclass(frozen=True, slots=True)
class ReadClock:
    """Look at the clock."""


@dataclass(frozen=True, slots=True)
class Emit:
    """Hand this to whoever iterates; only streams emit."""

    value: Any  # the stream's own type, which its face restores


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer came, or its beginning when streamed (`body` is then empty); `at` is monotonic, `wall` is Unix time.

    `began` is when the attempt began, monotonic too. An oversized body was not read to its end, and is cut. A redacted
    one held the API key.
    """

    status: int
    headers: RawHeaders
    body: bytes
    at: float = 0.0
    wall: float = 0.0
    began: float = 0.0
    is_oversized: bool = False
    is_redacted: bool = False

    def header(self, name: bytes) -> str | None:
        """Give one header by its lower-case name; None if it did not come."""
        return next((value.decode("latin-1") for known, value in self.headers if known.lower() == name), None)

    def own_headers(self) -> dict[str, str]:
        """Return the service's own headers (X-…) by lower-case name: cheaper than looking each of them up."""
        return own_headers(self.headers)


@dataclass(frozen=True, slots=True)
class Failed:
    """No complete answer came; `headers` are those of an answer that broke off after its head."""

    error: APIConnectionError
    at: float = 0.0
    headers: RawHeaders = ()


@dataclass(frozen=True, slots=True)
class Received:
    """More bytes of a streamed answer; none at its end. `at` is monotonic."""

    content: bytes
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Moment:
    """What the clock said, in monotonic seconds; also the answer to Sleep."""

    at: float


def own_headers(headers: RawHeaders) -> dict[str, str]:
    """Return the headers of the service's own (X-…) by lower-case name; a repeated one has its values joined."""
    own: dict[str, str] = {}
    for raw_name, raw_value in headers:
        if raw_name[:2] in (b"x-", b"X-"):
            name, value = raw_name.lower().decode("latin-1"), raw_value.decode("latin-1")
            own[name] = f"{own[name]}, {value}" if name in own else value
    return own


T = TypeVar("T")
Step = Send | Read | Sleep | ReadClock | Emit
Happened = Reply | Failed | Received | Moment | None
Operation = Generator[Step, Happened, T]


def read(seconds: float | None = None) -> Operation[Received | Failed]:
    """Give the next bytes of the streamed answer, or how it broke."""
    happened = yield Read(seconds)
    assert isinstance(happened, Received | Failed)
    return happened


def sleep(seconds: float, verdict: Verdict | None) -> Operation[float]:
    """Wait, and give the time afterwards."""
    happened = yield Sleep(seconds, verdict)
    assert isinstance(happened, Moment)
    return happened.at


def read_clock() -> Operation[float]:
    """Give the time, in monotonic seconds."""
    happened = yield ReadClock()
    assert isinstance(happened, Moment)
    return happened.at


def emit(value: object) -> Operation[None]:
    """Hand a value to whoever iterates."""
    yield Emit(value)
