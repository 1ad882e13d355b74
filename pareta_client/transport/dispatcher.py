"""Dispatchers: run operations with the settings and the channel of a client, each with its own driver."""

from collections.abc import Coroutine
from typing import Any, TypeVar

from pareta_client.core import Operation, Progress
from pareta_client.settings import Settings
from pareta_client.transport.async_driver import AsyncDriver
from pareta_client.transport.channel import AsyncChannel, Channel
from pareta_client.transport.driver import Driver
from pareta_client.transport.stream import AsyncStream, Stream

T = TypeVar("T")


class Dispatcher:
    """Dispatcher of the blocking client."""

    def __init__(self, settings: Settings, channel: Channel) -> None:
        self.settings = settings
        self.channel = channel

    def run(self, operation: Operation[T]) -> T:
        """Perform an operation and return its result."""
        return Driver(self.channel).run(operation)

    def stream(self, operation: Operation[None], progress: Progress) -> Stream[Any]:
        """Return the stream of an operation; the request is sent with the first iteration."""
        return Stream(Driver(self.channel).iterate(operation), progress)


class AsyncDispatcher:
    """Dispatcher of the asynchronous client; an unlimited one ignores the connection slots of its channel."""

    def __init__(self, settings: Settings, channel: AsyncChannel, *, is_unlimited: bool = False) -> None:
        self.settings = settings
        self.channel = channel
        self.is_unlimited = is_unlimited

    def run(self, operation: Operation[T]) -> Coroutine[Any, Any, T]:
        """Perform an operation and return its result."""
        return self._driver().run(operation)

    def stream(self, operation: Operation[None], progress: Progress) -> AsyncStream[Any]:
        """Return the stream of an operation; the request is sent with the first iteration."""
        return AsyncStream(self._driver().iterate(operation), progress)

    def _driver(self) -> AsyncDriver:
        return AsyncDriver(self.channel, None if self.is_unlimited else self.channel.connection_slots)
