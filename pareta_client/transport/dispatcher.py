"""What the two faces have in common: settings, a channel, and a driver for each operation."""

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
    """Performs operations, blocking."""

    def __init__(self, settings: Settings, channel: Channel) -> None:
        self.settings = settings
        self.channel = channel

    def run(self, operation: Operation[T]) -> T:
        """Perform an operation and give its result."""
        return Driver(self.channel).run(operation)

    def stream(self, operation: Operation[None], progress: Progress) -> Stream[Any]:
        """Give the face of a streaming operation; it starts with the first item asked for."""
        return Stream(Driver(self.channel).iterate(operation), progress)


class AsyncDispatcher:
    """Performs operations on the running event loop."""

    def __init__(self, settings: Settings, channel: AsyncChannel) -> None:
        self.settings = settings
        self.channel = channel

    def run(self, operation: Operation[T]) -> Coroutine[Any, Any, T]:
        """Perform an operation and give its result."""
        return AsyncDriver(self.channel).run(operation)

    def stream(self, operation: Operation[None], progress: Progress) -> AsyncStream[Any]:
        """Give the face of a streaming operation; it starts with the first item asked for."""
        return AsyncStream(AsyncDriver(self.channel).iterate(operation), progress)
