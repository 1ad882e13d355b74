"""The blocking driver: performs the steps of an operation (send, sleep, read the clock) without own decisions."""

import time
from collections.abc import Generator, Iterator
from typing import Any, TypeVar

import httpx

from pareta_client.core import (
    MAX_ERROR_BODY_BYTES,
    Emit,
    Failed,
    Happened,
    Moment,
    Operation,
    RawHeaders,
    Read,
    ReadClock,
    Received,
    Reply,
    Send,
    Sleep,
    Step,
)
from pareta_client.errors import APIConnectionError
from pareta_client.retry import succeeded
from pareta_client.transport.channel import Channel
from pareta_client.transport.cut_off import CutOff
from pareta_client.transport.decoding import decoded
from pareta_client.transport.transport_errors import attempt_timed_out, connection_error

T = TypeVar("T")
TRANSPORT_ERRORS = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError)


class Driver:
    """Driver of one operation in the calling thread."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._open: httpx.Response | None = None
        self._incoming: Iterator[bytes] = iter(())
        self._cut_off: CutOff | None = None

    def run(self, operation: Operation[T]) -> T:
        """Perform an operation and return its result."""
        happened: Happened = None
        try:
            while True:
                happened = self._perform(operation.send(happened))
        except StopIteration as end:
            result: T = end.value
            return result
        finally:
            operation.close()
            self._close()

    def iterate(self, operation: Operation[None]) -> Generator[Any, None, None]:
        """Perform a streaming operation and yield the values that it emits."""
        happened: Happened = None
        try:
            while True:
                step = operation.send(happened)
                if isinstance(step, Emit):
                    happened = None
                    yield step.value
                else:
                    happened = self._perform(step)
        except StopIteration:
            return
        finally:
            operation.close()
            self._close()

    def _perform(self, step: Step) -> Happened:
        match step:
            case Send():
                return self._send(step)
            case Sleep(seconds):
                time.sleep(seconds)
            case Read(seconds):
                return self._read(seconds)
            case ReadClock():
                pass
            case Emit():
                raise AssertionError("only a streaming operation emits")
        return Moment(time.monotonic())

    def _send(self, step: Send) -> Reply | Failed:
        self._close()
        began, body, is_whole = time.monotonic(), list[bytes](), True
        error: APIConnectionError | None = None
        ends = None if step.seconds is None else began + step.seconds
        try:
            response = self._open = self._channel.send(step.request)
            if step.streamed and succeeded(response.status_code):
                self._incoming, self._cut_off = pieces_of(response), CutOff(response)
                return outcome(response.status_code, response.headers.raw, body, began=began)
            is_whole = self._read_into(body, response, max_body_bytes(response.status_code, step.max_bytes), ends)
        except TimeoutError:
            error = attempt_timed_out(step.seconds)
        except TRANSPORT_ERRORS as fault:
            error = connection_error(fault, step.request.url)
        reply = self._open
        # Close now: an operation that waits for its next attempt must not hold a connection.
        self._close()
        if reply is None:
            return outcome(None, (), body, error=error)
        return outcome(reply.status_code, reply.headers.raw, body, is_whole=is_whole, error=error)

    def _read_into(self, body: list[bytes], response: httpx.Response, max_bytes: int, ends: float | None) -> bool:
        """Read the decompressed body into a list; return False if it is larger than `max_bytes`."""
        left = max_bytes
        for piece in pieces_of(response):
            body.append(piece)
            left -= len(piece)
            if left < 0:
                return False
            if ends is not None and time.monotonic() > ends:
                raise TimeoutError
        return True

    def _read(self, seconds: float | None) -> Received | Failed:
        cut_off = self._cut_off
        if cut_off is not None and seconds is not None:
            cut_off.at(time.monotonic() + seconds)
        try:
            content = next(self._incoming, b"")
        except TRANSPORT_ERRORS as fault:
            error = connection_error(fault, None)
        else:
            # A body without a length ends in the same way when the connection is shut down.
            if content or cut_off is None or not cut_off.has_fired:
                return Received(content, time.monotonic())
            error = attempt_timed_out(seconds)
        was_cut = cut_off is not None and cut_off.has_fired
        return Failed(attempt_timed_out(seconds) if was_cut else error, time.monotonic())

    def _close(self) -> None:
        response, self._open = self._open, None
        if self._cut_off is not None:
            self._cut_off.cancel()
            self._cut_off = None
        if response is not None:
            response.close()


def pieces_of(response: httpx.Response) -> Iterator[bytes]:
    """Return an iterator over the decompressed body."""
    if response.is_stream_consumed:  # read by a hook or transport of the caller
        return response.iter_bytes()
    return decoded(response.iter_raw(), response.headers.raw)


def max_body_bytes(status: int, max_bytes: int) -> int:
    """Return the limit of a body in bytes: `max_bytes` for a success, MAX_ERROR_BODY_BYTES for an error."""
    return max_bytes if succeeded(status) else MAX_ERROR_BODY_BYTES


def outcome(
    status: int | None,
    headers: RawHeaders,
    body: list[bytes],
    *,
    is_whole: bool = True,
    error: APIConnectionError | None = None,
    began: float = 0.0,
) -> Reply | Failed:
    """Return the result of an attempt, with the present time.

    An error status with an incomplete body is a reply; a success status with an incomplete body is a failure.
    """
    at = time.monotonic()
    if error is not None and (status is None or succeeded(status)):
        return Failed(error, at, headers)
    assert status is not None, "an attempt without a status has an error"
    content = b"".join(body)
    if not is_whole:
        content = content[:MAX_ERROR_BODY_BYTES]
    return Reply(status, headers, content, at, time.time(), began, is_oversized=not is_whole and succeeded(status))
