"""Steps that an operation yields to its driver, and the results that the driver sends back.

An operation is a generator: it yields a step, the driver performs it and sends the result. Operations compose with
`yield from`. The drivers are `transport/driver.py` and `transport/async_driver.py`; a test uses a list of results.
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
    """Send a request, with a timeout of `seconds` if not None. A streamed reply stays open for `Read`.

    `left` is the seconds to the deadline; unlike `seconds` it includes the wait for a connection slot.
    `max_bytes` limits the decompressed body of a successful reply. Polls have connection slots of their own.
    """

    request: Request
    seconds: float | None
    left: float | None = None
    streamed: bool = False
    max_bytes: int = sys.maxsize
    is_poll: bool = False


@dataclass(frozen=True, slots=True)
class Read:
    """Wait for the next bytes of a streamed reply, for at most `seconds`."""

    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait; `verdict` is the reason for a retry, or None for a poll."""

    seconds: float
    verdict: Verdict | None


@dataclass(frozen=True, slots=True)
class ReadClock:
    """Read the monotonic clock."""


@dataclass(frozen=True, slots=True)
class Emit:
    """Yield a value to the consumer of a stream; only streaming operations emit."""

    value: Any  # `Stream` and `AsyncStream` restore the type


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply, or the head of a streamed one with an empty `body`.

    `at` (end) and `began` (start of the attempt) are monotonic seconds, `wall` is Unix time. An oversized body is cut.
    `is_redacted` is True if the body contained the API key.
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
        """Return a header by its lower-case name, or None."""
        return next((value.decode("latin-1") for known, value in self.headers if known.lower() == name), None)

    def own_headers(self) -> dict[str, str]:
        """Return the X- headers by lower-case name; faster than single look-ups."""
        return own_headers(self.headers)


@dataclass(frozen=True, slots=True)
class Failed:
    """No complete reply; `headers` are those of a reply whose body was incomplete."""

    error: APIConnectionError
    at: float = 0.0
    headers: RawHeaders = ()


@dataclass(frozen=True, slots=True)
class Received:
    """Next bytes of a streamed reply, empty at its end; `at` is in monotonic seconds."""

    content: bytes
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Moment:
    """Time in monotonic seconds: the result of ReadClock and of Sleep."""

    at: float


def own_headers(headers: RawHeaders) -> dict[str, str]:
    """Return the X- headers by lower-case name; the values of a repeated header are joined with commas."""
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
    """Return the next bytes of the streamed reply, or the failure."""
    happened = yield Read(seconds)
    assert isinstance(happened, Received | Failed)
    return happened


def sleep(seconds: float, verdict: Verdict | None) -> Operation[float]:
    """Wait, and return the time afterwards in monotonic seconds."""
    happened = yield Sleep(seconds, verdict)
    assert isinstance(happened, Moment)
    return happened.at


def read_clock() -> Operation[float]:
    """Return the time in monotonic seconds."""
    happened = yield ReadClock()
    assert isinstance(happened, Moment)
    return happened.at


def emit(value: object) -> Operation[None]:
    """Yield a value to the consumer of the stream."""
    yield Emit(value)
