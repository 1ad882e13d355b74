"""The blocking driver: it sends, sleeps and reads the clock as an operation says, and decides nothing."""

import sys
import time
from collections.abc import Generator, Iterator
from typing import Any, TypeVar

import httpx

from pareta_client.channel import Channel
from pareta_client.errors import APIConnectionError
from pareta_client.faults import connection_error, out_of_time
from pareta_client.replies import MOST_OF_AN_ERROR_BODY
from pareta_client.retry import succeeded
from pareta_client.steps import (
    Emit,
    Failed,
    Happened,
    Look,
    Moment,
    Operation,
    Read,
    Received,
    Reply,
    Send,
    Sleep,
    Step,
)

T = TypeVar("T")
TRANSPORT_FAULTS = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError)


class Driver:
    """Performs one operation, blocking."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._open: httpx.Response | None = None
        self._incoming: Iterator[bytes] = iter(())

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
            case Read():
                return self._read()
            case Look():
                pass
            case Emit():
                raise AssertionError("only a stream emits")
        return Moment(time.monotonic())

    def _send(self, step: Send) -> Reply | Failed:
        self._close()
        ends = None if step.seconds is None else time.monotonic() + step.seconds
        try:
            response = self._open = self._channel.send(step.request)
            if step.streamed and succeeded(response.status_code):
                self._incoming = response.iter_bytes()
                return _reply(response, b"")
            body = self._body(response, ends)
        except TimeoutError:
            return self._failed(out_of_time(step.seconds))
        except TRANSPORT_FAULTS as error:
            return self._failed(connection_error(error))
        self._close()
        return _reply(response, body)

    def _failed(self, error: APIConnectionError) -> Failed:
        # At once: nobody holds a connection while waiting for the next attempt.
        self._close()
        return Failed(error, time.monotonic())

    def _body(self, response: httpx.Response, ends: float | None) -> bytes:
        parts, size, most = [], 0, most_read_of(response)
        for part in response.iter_bytes():
            parts.append(part)
            size += len(part)
            if size >= most:
                break
            if ends is not None and time.monotonic() > ends:
                raise TimeoutError
        return b"".join(parts)[:most]

    def _read(self) -> Received | Failed:
        try:
            return Received(next(self._incoming, b""))
        except TRANSPORT_FAULTS as error:
            return Failed(connection_error(error), time.monotonic())

    def _close(self) -> None:
        response, self._open = self._open, None
        if response is not None:
            response.close()


def _reply(response: httpx.Response, body: bytes) -> Reply:
    """Give what came, with the time on it."""
    return Reply(response.status_code, response.headers.raw, body, time.monotonic(), time.time())


def most_read_of(response: httpx.Response) -> int:
    """Give how many bytes of the body are read: of an error's, only so many."""
    return sys.maxsize if succeeded(response.status_code) else MOST_OF_AN_ERROR_BODY
