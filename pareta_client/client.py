"""`Pareta` (blocking) and `AsyncPareta` (asynchronous), with the same methods."""

import os
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, Self

import httpx

from pareta_client.resources._async.chat import AsyncChat, AsyncModels
from pareta_client.resources._sync.chat import Chat, Models
from pareta_client.settings import DEFAULT_MAX_RETRIES, MAX_REPLY_BYTES, Options, Settings, Timeout, settings_for
from pareta_client.transport import AsyncChannel, AsyncDispatcher, Channel, Dispatcher, async_channel_for, channel_for

# Imported on first use: the record models take most of the client's import time.
if TYPE_CHECKING:
    from pareta_client.resources._async.endpoints import AsyncEndpoints
    from pareta_client.resources._async.evals import AsyncEvals
    from pareta_client.resources._async.tasks import AsyncTasks
    from pareta_client.resources._sync.endpoints import Endpoints
    from pareta_client.resources._sync.evals import Evals
    from pareta_client.resources._sync.tasks import Tasks


class _Client:
    """Properties shared by both clients; the repr does not contain the key."""

    _settings: Settings

    @property
    def api_key(self) -> str:
        """The API key in plain text: do not log it."""
        return self._settings.secret.reveal()

    @property
    def base_url(self) -> str:
        """URL of the service, without a trailing slash."""
        return self._settings.base_url

    @property
    def max_retries(self) -> int:
        """Number of further attempts after a failed one."""
        return self._settings.options.max_retries

    def __repr__(self) -> str:
        return f"{type(self).__name__}(base_url={self.base_url!r}, max_retries={self.max_retries})"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{type(self).__name__} cannot be pickled: create a client in each process with from_env()")


def _from_environment(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options, with defaults from PARETA_API_KEY and PARETA_BASE_URL."""
    return {
        **options,
        "api_key": options.get("api_key") or os.environ.get("PARETA_API_KEY"),
        "base_url": options.get("base_url") or os.environ.get("PARETA_BASE_URL"),
    }


class Pareta(_Client):
    """The blocking client, safe to share between threads.

    Args:
        api_key: sent as a bearer token; None raises ParetaError.
        base_url: None is the public service.
        timeout: seconds for one attempt, or an httpx.Timeout for its phases.
        max_retries: further attempts after a failed one.
        deadline: seconds for all attempts of one call.
        max_reply_bytes: limit of the decompressed body of a successful reply.
        http_client: used unchanged, and not closed.

    Raises:
        ParetaError: the key is missing, or the key or `base_url` is invalid.
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
        self._dispatcher = dispatcher = Dispatcher(settings, channel)
        self.chat = Chat(dispatcher)
        self.models = Models(dispatcher)

    @cached_property
    def endpoints(self) -> "Endpoints":
        """Deployed models."""
        from pareta_client.resources._sync.endpoints import Endpoints

        return Endpoints(self._dispatcher)

    @cached_property
    def tasks(self) -> "Tasks":
        """Task catalogue."""
        from pareta_client.resources._sync.tasks import Tasks

        return Tasks(self._dispatcher)

    @cached_property
    def evals(self) -> "Evals":
        """Eval sets, eval runs and frontier models."""
        from pareta_client.resources._sync.evals import Evals

        return Evals(self._dispatcher)

    @classmethod
    def from_env(cls, **options: Any) -> Self:
        """Create a client from PARETA_API_KEY and PARETA_BASE_URL; keyword arguments override them."""
        return cls(**_from_environment(options))

    def with_options(
        self,
        *,
        max_retries: int | None = None,
        timeout: Timeout | None = None,
        deadline: float | None = None,
        max_reply_bytes: int | None = None,
    ) -> Self:
        """Return a client with other options that shares the connections; None keeps the present value."""
        other = type(self).__new__(type(self))
        other._use(self._settings.with_options(max_retries, timeout, deadline, max_reply_bytes), self._channel)
        return other

    def close(self) -> None:
        """Close the connections, including those shared through `with_options`; a passed `http_client` stays open."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncPareta(_Client):
    """The asynchronous client: one per event loop, shared by every coroutine.

    Args:
        api_key: sent as a bearer token; None raises ParetaError.
        base_url: None is the public service.
        timeout: seconds for one attempt, or an httpx.Timeout for its phases.
        max_retries: further attempts after a failed one.
        deadline: seconds for all attempts of one call.
        max_reply_bytes: limit of the decompressed body of a successful reply.
        http_client: used unchanged, and not closed.

    Raises:
        ParetaError: the key is missing, or the key or `base_url` is invalid.
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

    def _use(self, settings: Settings, channel: AsyncChannel, *, is_unlimited: bool = False) -> None:
        self._settings = settings
        self._channel = channel
        self._dispatcher = dispatcher = AsyncDispatcher(settings, channel, is_unlimited=is_unlimited)
        self.chat = AsyncChat(dispatcher)
        self.models = AsyncModels(dispatcher)

    @cached_property
    def endpoints(self) -> "AsyncEndpoints":
        """Deployed models."""
        from pareta_client.resources._async.endpoints import AsyncEndpoints

        return AsyncEndpoints(self._dispatcher)

    @cached_property
    def tasks(self) -> "AsyncTasks":
        """Task catalogue."""
        from pareta_client.resources._async.tasks import AsyncTasks

        return AsyncTasks(self._dispatcher)

    @cached_property
    def evals(self) -> "AsyncEvals":
        """Eval sets, eval runs and frontier models."""
        from pareta_client.resources._async.evals import AsyncEvals

        return AsyncEvals(self._dispatcher)

    @classmethod
    def from_env(cls, **options: Any) -> Self:
        """Create a client from PARETA_API_KEY and PARETA_BASE_URL; keyword arguments override them."""
        return cls(**_from_environment(options))

    def with_options(
        self,
        *,
        max_retries: int | None = None,
        timeout: Timeout | None = None,
        deadline: float | None = None,
        max_reply_bytes: int | None = None,
        unlimited_connections: bool = False,
    ) -> Self:
        """Return a client with other options that shares the connections; None keeps the present value.

        With `unlimited_connections=True` its calls do not count towards the limit of 1,000 connections, and do not
        wait for one: for a caller that limits its calls in flight itself.
        """
        other = type(self).__new__(type(self))
        settings = self._settings.with_options(max_retries, timeout, deadline, max_reply_bytes)
        other._use(settings, self._channel, is_unlimited=unlimited_connections or self._dispatcher.is_unlimited)
        return other

    async def aclose(self) -> None:
        """Close the connections, including those shared through `with_options`; a passed `http_client` stays open."""
        await self._channel.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
