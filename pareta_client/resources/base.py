"""Base classes of the resources: parts of the API, whose methods run operations."""

from pareta_client.transport import AsyncDispatcher, Dispatcher


class Resource:
    """A part of the API of the blocking client."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._settings = dispatcher.settings
        self._run = dispatcher.run


class AsyncResource:
    """A part of the API of the asynchronous client."""

    def __init__(self, dispatcher: AsyncDispatcher) -> None:
        self._dispatcher = dispatcher
        self._settings = dispatcher.settings
        self._run = dispatcher.run
