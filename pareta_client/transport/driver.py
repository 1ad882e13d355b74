"""The blocking driver: it sends, sleeps and reads the clock as an operation says, and decides nothing."""

import time
from collections.abc import Generator, Iterator
from typing import Any, TypeVar

import httpx

from pareta_client.core import (
    MOST_OF_AN_ERROR_BODY,
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
from pareta_client.transport.transport_errors import connection_error, out_of_time

T = TypeVar("T")
TRANSPORT_FAULTS = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError)


class Driver:
    """Performs one operation, blocking."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._open: httpx.Response | None = None
        self._incoming: Iterator[bytes] = iter(())
        self._cut_off: CutOff | None = None

    def run(self, operation: Operation[T]) -> T:
        """Perform an operation to its end and give its result."""
        happened: Happened = None
        try:
            while True:
                happened = self._obey(operation.send(happened))
        except StopIteration as end:
            result: T = end.value
            return result
        finally:
            operation.close()
            self._close()

    def iterate(self, operation: Operation[None]) -> Generator[Any, None, None]:
        """Perform a streaming operation, giving what it emits as it comes."""
        happened: Happened = None
        try:
            while True:
                step = operation.send(happened)
                if isinstance(step, Emit):
                    happened = None
                    yield step.value
                else:
                    happened = self._obey(step)
        except StopIteration:
            return
        finally:
            operation.close()
            self._close()

    def _obey(self, step: Step) -> Happened:
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
                raise AssertionError("only a stream emits")
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
            is_whole = self._read_into(body, response, most_read(response.status_code, step.most), ends)
        except TimeoutError:
            error = out_of_time(step.seconds)
        except TRANSPORT_FAULTS as fault:
            error = connection_error(fault, step.request.url)
        came = self._open
        # At once: no connection is held while an operation waits for its next attempt.
        self._close()
        if came is None:
            return outcome(None, (), body, error=error)
        return outcome(came.status_code, came.headers.raw, body, is_whole=is_whole, error=error)

    def _read_into(self, body: list[bytes], response: httpx.Response, most: int, ends: float | None) -> bool:
        """Read the decompressed body; returns False if it is larger than `most` bytes."""
        left = most
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
        except TRANSPORT_FAULTS as fault:
            error = connection_error(fault, None)
        else:
            # The end of a body without a length looks the same when it is cut off.
            if content or cut_off is None or not cut_off.has_fired:
                return Received(content, time.monotonic())
            error = out_of_time(seconds)
        was_cut = cut_off is not None and cut_off.has_fired
        return Failed(out_of_time(seconds) if was_cut else error, time.monotonic())

    def _close(self) -> None:
        response, self._open = self._open, None
        if self._cut_off is not None:
            self._cut_off.cancel()
            self._cut_off = None
        if response is not None:
            response.close()


def pieces_of(response: httpx.Response) -> Iterator[bytes]:
    """Return the decompressed body as it arrives."""
    if response.is_stream_consumed:  # by a hook or a transport of the caller's
        return response.iter_bytes()
    return decoded(response.iter_raw(), response.headers.raw)


def most_read(status: int, most: int) -> int:
    """Return the number of bytes of a body that are read: of an error's, no more than any message needs."""
    return most if succeeded(status) else MOST_OF_AN_ERROR_BODY


def outcome(
    status: int | None,
    headers: RawHeaders,
    body: list[bytes],
    *,
    is_whole: bool = True,
    error: APIConnectionError | None = None,
    began: float = 0.0,
) -> Reply | Failed:
    """Return what came of an attempt, with the time on it.

    An error status counts even if its body broke off; a success counts only with its whole body.
    """
    at = time.monotonic()
    if error is not None and (status is None or succeeded(status)):
        return Failed(error, at, headers)
    assert status is not None, "without a status there is an error"
    content = b"".join(body)
    if not is_whole:
        content = content[:MOST_OF_AN_ERROR_BODY]
    return Reply(status, headers, content, at, time.time(), began, is_oversized=not is_whole and succeeded(status))
