"""The asynchronous driver: it sends, sleeps and reads the clock as an operation says, and decides nothing."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, TypeVar

from pareta_client.core import (
    Emit,
    Failed,
    Happened,
    Moment,
    Operation,
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
from pareta_client.transport.channel import AsyncChannel, Incoming
from pareta_client.transport.driver import TRANSPORT_FAULTS, most_read, outcome
from pareta_client.transport.transport_errors import connection_error, no_place, out_of_time, too_late

T = TypeVar("T")


class AsyncDriver:
    """Performs one operation on the running event loop."""

    __slots__ = ("_channel", "_incoming", "_open", "_place")

    def __init__(self, channel: AsyncChannel) -> None:
        self._channel = channel
        self._open: Incoming | None = None
        self._incoming: AsyncIterator[bytes] | None = None
        self._place: asyncio.Semaphore | None = None

    async def run(self, operation: Operation[T]) -> T:
        """Perform an operation to its end and give its result."""
        happened: Happened = None
        try:
            while True:
                step = operation.send(happened)
                # Not by way of `_obey`: this is the one step that every call takes.
                happened = await (self._send(step) if isinstance(step, Send) else self._obey(step))
        except StopIteration as end:
            result: T = end.value
            return result
        finally:
            operation.close()
            if self._open is not None or self._place is not None:
                await self._close()

    async def iterate(self, operation: Operation[None]) -> AsyncGenerator[Any, None]:
        """Perform a streaming operation, giving what it emits as it comes."""
        happened: Happened = None
        try:
            while True:
                step = operation.send(happened)
                if isinstance(step, Emit):
                    happened = None
                    yield step.value
                else:
                    happened = await self._obey(step)
        except StopIteration:
            return
        finally:
            operation.close()
            await self._close()

    async def _obey(self, step: Step) -> Happened:
        match step:
            case Send():
                return await self._send(step)
            case Sleep(seconds):
                await asyncio.sleep(seconds)
            case Read(seconds):
                return await self._read(seconds)
            case ReadClock():
                pass
            case Emit():
                raise AssertionError("only a stream emits")
        return Moment(time.monotonic())

    async def _send(self, step: Send) -> Reply | Failed:
        if self._open is not None or self._place is not None:
            await self._close()
        try:
            seconds = await self._enter(step)
        except TimeoutError:
            return Failed(no_place(step.left), time.monotonic())
        within = None if step.streamed else seconds
        began, body, is_whole = time.monotonic(), list[bytes](), True
        error: APIConnectionError | None = None
        try:
            async with asyncio.timeout(seconds):
                incoming = self._open = await self._channel.send(step.request, within)
                if step.streamed and succeeded(incoming.status):
                    self._incoming = incoming.pieces()
                    return outcome(incoming.status, incoming.headers, body, began=began)
                is_whole = await incoming.read_into(body, most_read(incoming.status, step.most))
        except TimeoutError as late:
            error = too_late(late, seconds, step.request.url)
        except TRANSPORT_FAULTS as fault:
            error = connection_error(fault, step.request.url)
        came = self._open
        # At once: no connection and no place is held while an operation waits for its next attempt.
        await self._close()
        if came is None:
            return outcome(None, (), body, error=error)
        return outcome(came.status, came.headers, body, is_whole=is_whole, error=error)

    async def _enter(self, step: Send) -> float | None:
        """Wait for a place among the requests in flight; gives the seconds that the attempt may take from now on."""
        places, loop = self._channel.places, asyncio.get_running_loop()
        if places is None:
            return step.seconds
        if not places.locked():
            await places.acquire()
            self._place = places
            return step.seconds
        ends = None if step.left is None else loop.time() + step.left
        async with asyncio.timeout_at(ends):
            await places.acquire()
        self._place = places
        return step.seconds if ends is None else min(step.seconds or step.left or 0.0, ends - loop.time())

    async def _read(self, seconds: float | None) -> Received | Failed:
        assert self._incoming is not None, "an operation reads after a streamed send"
        try:
            async with asyncio.timeout(seconds):
                return Received(await anext(self._incoming, b""), time.monotonic())
        except TimeoutError:
            return Failed(out_of_time(seconds), time.monotonic())
        except TRANSPORT_FAULTS as error:
            return Failed(connection_error(error, None), time.monotonic())

    async def _close(self) -> None:
        incoming, self._open = self._open, None
        try:
            if incoming is not None:
                await incoming.aclose()
        finally:
            if self._place is not None:
                self._place.release()
                self._place = None
