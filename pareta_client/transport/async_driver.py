"""The asynchronous driver: performs the steps of an operation (send, sleep, read the clock) without own decisions."""

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
from pareta_client.transport.channel import AsyncChannel
from pareta_client.transport.driver import TRANSPORT_ERRORS, max_body_bytes, outcome
from pareta_client.transport.incoming import Incoming
from pareta_client.transport.transport_errors import attempt_timed_out, connection_error, no_free_connection, timed_out

T = TypeVar("T")


class AsyncDriver:
    """Driver of one operation on the running event loop."""

    __slots__ = ("_channel", "_incoming", "_open", "_slot", "_slots")

    def __init__(self, channel: AsyncChannel, slots: asyncio.Semaphore | None) -> None:
        self._channel = channel
        self._slots = slots
        self._open: Incoming | None = None
        self._incoming: AsyncIterator[bytes] | None = None
        self._slot: asyncio.Semaphore | None = None

    async def run(self, operation: Operation[T]) -> T:
        """Perform an operation and return its result."""
        happened: Happened = None
        try:
            while True:
                step = operation.send(happened)
                # Without `_perform`, because every call takes this step.
                happened = await (self._send(step) if isinstance(step, Send) else self._perform(step))
        except StopIteration as end:
            result: T = end.value
            return result
        finally:
            operation.close()
            if self._open is not None or self._slot is not None:
                await self._close()

    async def iterate(self, operation: Operation[None]) -> AsyncGenerator[Any, None]:
        """Perform a streaming operation and yield the values that it emits."""
        happened: Happened = None
        try:
            while True:
                step = operation.send(happened)
                if isinstance(step, Emit):
                    happened = None
                    yield step.value
                else:
                    happened = await self._perform(step)
        except StopIteration:
            return
        finally:
            operation.close()
            await self._close()

    async def _perform(self, step: Step) -> Happened:
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
                raise AssertionError("only a streaming operation emits")
        return Moment(time.monotonic())

    async def _send(self, step: Send) -> Reply | Failed:
        if self._open is not None or self._slot is not None:
            await self._close()
        try:
            seconds = await self._acquire_slot(step)
        except TimeoutError:
            return Failed(no_free_connection(step.left), time.monotonic())
        within = None if step.streamed else seconds
        began, body, is_whole = time.monotonic(), list[bytes](), True
        error: APIConnectionError | None = None
        try:
            async with asyncio.timeout(seconds):
                incoming = self._open = await self._channel.send(step.request, within)
                if step.streamed and succeeded(incoming.status):
                    self._incoming = incoming.pieces()
                    return outcome(incoming.status, incoming.headers, body, began=began)
                is_whole = await incoming.read_into(body, max_body_bytes(incoming.status, step.max_bytes))
        except TimeoutError as late:
            error = timed_out(late, seconds, step.request.url)
        except TRANSPORT_ERRORS as fault:
            error = connection_error(fault, step.request.url)
        reply = self._open
        # Close now: an operation that waits for its next attempt must not hold a connection or a slot.
        await self._close()
        if reply is None:
            return outcome(None, (), body, error=error)
        return outcome(reply.status, reply.headers, body, is_whole=is_whole, error=error)

    async def _acquire_slot(self, step: Send) -> float | None:
        """Wait for a connection slot; return the seconds left for the attempt."""
        slots = self._channel.poll_slots if step.is_poll else self._slots
        if slots is None:
            return step.seconds
        if not slots.locked():
            await slots.acquire()
            self._slot = slots
            return step.seconds
        loop = asyncio.get_running_loop()
        ends = None if step.left is None else loop.time() + step.left
        async with asyncio.timeout_at(ends):
            await slots.acquire()
        self._slot = slots
        return step.seconds if ends is None else min(step.seconds or step.left or 0.0, ends - loop.time())

    async def _read(self, seconds: float | None) -> Received | Failed:
        assert self._incoming is not None, "Read requires a streamed Send before it"
        try:
            async with asyncio.timeout(seconds):
                return Received(await anext(self._incoming, b""), time.monotonic())
        except TimeoutError:
            return Failed(attempt_timed_out(seconds), time.monotonic())
        except TRANSPORT_ERRORS as error:
            return Failed(connection_error(error, None), time.monotonic())

    async def _close(self) -> None:
        incoming, self._open = self._open, None
        try:
            if incoming is not None:
                await incoming.aclose()
        finally:
            if self._slot is not None:
                self._slot.release()
                self._slot = None
