"""`Pareta` and `AsyncPareta`: the same surface, blocking and asynchronous."""

import os
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, Self

import httpx

from pareta_client.resources.chat import AsyncChat, AsyncModels, Chat, Models
from pareta_client.settings import DEFAULT_MAX_RETRIES, MAX_REPLY_BYTES, Options, Settings, Timeout, settings_for
from pareta_client.transport import AsyncChannel, AsyncDispatcher, Channel, Dispatcher, async_channel_for, channel_for

# What a program never asks for is not loaded: records take most of the time that it takes to import a client.
if TYPE_CHECKING:
    from pareta_client.resources.endpoints import AsyncEndpoints, Endpoints
    from pareta_client.resources.evals import AsyncEvals, Evals
    from pareta_client.resources.tasks import AsyncTasks, Tasks


class _Client:
    """What both faces know of themselves; the key shows only where it is asked for by name."""

    _settings: Settings

    @property
    def api_key(self) -> str:
        """The key; take care where it goes."""
        return self._settings.secret.reveal()

    @property
    def base_url(self) -> str:
        """Where the service is, without a trailing slash."""
        return self._settings.base_url

    @property
    def max_retries(self) -> int:
        """How often a failed request is sent again."""
        return self._settings.options.max_retries

    def __repr__(self) -> str:
        return f"{type(self).__name__}(base_url={self.base_url!r}, max_retries={self.max_retries})"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{type(self).__name__} holds connections and a key: make one in each process, from_env()")


def _from_environment(given: dict[str, Any]) -> dict[str, Any]:
    """Add key and address from PARETA_API_KEY and PARETA_BASE_URL where they are not given."""
    return {
        **given,
        "api_key": given.get("api_key") or os.environ.get("PARETA_API_KEY"),
        "base_url": given.get("base_url") or os.environ.get("PARETA_BASE_URL"),
    }


class Pareta(_Client):
    """The blocking client, safe to share between threads.

    `timeout` bounds one attempt and `deadline` all attempts of a call, in seconds; `max_reply_bytes` bounds the
    decompressed body of a success. An `http_client` is used as it is and left open.

    Raises:
        ParetaError: the key is missing, or key or `base_url` could never work.
    """

    def __init__(
        self,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        timeout: Timeout | None = None,
        max_retries: int = DEFAULT_MAX_RETRIES,
        deadline: float | None = None,
        max_reply_bytes: int = MAX_REPLY_BYTES,
        http_client: httpx.Client | None = None,
    ) -> None:
        options = Options(max_retries, timeout, deadline, max_reply_bytes)
        settings = settings_for(api_key, base_url, options, own_http_client=http_client is not None)
        self._use(settings, channel_for(http_client))

    def _use(self, settings: Settings, channel: Channel) -> None:
        self._settings = settings
        self._channel = channel
        self._caller = caller = Dispatcher(settings, channel)
        self.chat = Chat(caller)
        self.models = Models(caller)

    @cached_property
    def endpoints(self) -> "Endpoints":
        """Deployed models."""
        from pareta_client.resources.endpoints import Endpoints

        return Endpoints(self._caller)

    @cached_property
    def tasks(self) -> "Tasks":
        """The catalogue."""
        from pareta_client.resources.tasks import Tasks

        return Tasks(self._caller)

    @cached_property
    def evals(self) -> "Evals":
        """Eval sets, eval runs and the models to compare with."""
        from pareta_client.resources.evals import Evals

        return Evals(self._caller)

    @classmethod
    def from_env(cls, **given: Any) -> Self:
        """Make a client from PARETA_API_KEY and PARETA_BASE_URL; keywords are those of the class and win."""
        return cls(**_from_environment(given))

    def with_options(
        self,
        *,
        max_retries: int | None = None,
        timeout: Timeout | None = None,
        deadline: float | None = None,
        max_reply_bytes: int | None = None,
    ) -> Self:
        """Give a client that is differently patient and shares this one's connections; None keeps what is."""
        other = type(self).__new__(type(self))
        other._use(self._settings.patient(max_retries, timeout, deadline, max_reply_bytes), self._channel)
        return other

    def close(self) -> None:
        """Close the connections, also those shared through `with_options`; an http_client passed in stays open."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncPareta(_Client):
    """The asynchronous client: one per event loop, shared by every coroutine.

    `timeout` bounds one attempt and `deadline` all attempts of a call, in seconds; `max_reply_bytes` bounds the
    decompressed body of a success. An `http_client` is used as it is and left open.

    Raises:
        ParetaError: the key is missing, or key or `base_url` could never work.
    """

    def __init__(
        self,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        timeout: Timeout | None = None,
        max_retries: int = DEFAULT_MAX_RETRIES,
        deadline: float | None = None,
        max_reply_bytes: int = MAX_REPLY_BYTES,
        http_client: httpx.AsyncClient | None = None,
    ) -> None:
        options = Options(max_retries, timeout, deadline, max_reply_bytes)
        settings = settings_for(api_key, base_url, options, own_http_client=http_client is not None)
        self._use(settings, async_channel_for(http_client, settings.base_url))

    def _use(self, settings: Settings, channel: AsyncChannel) -> None:
        self._settings = settings
        self._channel = channel
        self._caller = caller = AsyncDispatcher(settings, channel)
        self.chat = AsyncChat(caller)
        self.models = AsyncModels(caller)

    @cached_property
    def endpoints(self) -> "AsyncEndpoints":
        """Deployed models."""
        from pareta_client.resources.endpoints import AsyncEndpoints

        return AsyncEndpoints(self._caller)

    @cached_property
    def tasks(self) -> "AsyncTasks":
        """The catalogue."""
        from pareta_client.resources.tasks import AsyncTasks

        return AsyncTasks(self._caller)

    @cached_property
    def evals(self) -> "AsyncEvals":
        """Eval sets, eval runs and the models to compare with."""
        from pareta_client.resources.evals import AsyncEvals

        return AsyncEvals(self._caller)

    @classmethod
    def from_env(cls, **given: Any) -> Self:
        """Make a client from PARETA_API_KEY and PARETA_BASE_URL; keywords are those of the class and win."""
        return cls(**_from_environment(given))

    def with_options(
        self,
        *,
        max_retries: int | None = None,
        timeout: Timeout | None = None,
        deadline: float | None = None,
        max_reply_bytes: int | None = None,
    ) -> Self:
        """Give a client that is differently patient and shares this one's connections; None keeps what is."""
        other = type(self).__new__(type(self))
        other._use(self._settings.patient(max_retries, timeout, deadline, max_reply_bytes), self._channel)
        return other

    async def aclose(self) -> None:
        """Close the connections, also those shared through `with_options`; an http_client passed in stays open."""
        await self._channel.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
