"""`client.chat.completions` and `client.models`."""

# ruff: noqa: ASYNC109 - `timeout` is the name that users of the service know

from collections.abc import Iterable, Mapping
from typing import Any, Literal, overload

from pareta_client.core import Progress, chat_chunks
from pareta_client.models.chat import ChatCompletion, ChatCompletionChunk, ModelList
from pareta_client.operations import chat as calls
from pareta_client.settings import Timeout
from pareta_client.transport import AsyncDispatcher, AsyncStream, Dispatcher, Stream

Messages = Iterable[Mapping[str, Any]]


class Completions:
    """OpenAI's chat completions on an endpoint (or, in the service's second generation, on `auto`)."""

    def __init__(self, caller: Dispatcher) -> None:
        self._caller = caller

    @overload
    def create(
        self,
        /,
        *,
        model: str,
        messages: Messages,
        stream: Literal[False] = False,
        idempotency_key: str | None = None,
        timeout: Timeout | None = None,
        deadline: float | None = None,
        max_retries: int | None = None,
        **fields: Any,
    ) -> ChatCompletion: ...

    @overload
    def create(
        self,
        /,
        *,
        model: str,
        messages: Messages,
        stream: Literal[True],
        idempotency_key: str | None = None,
        timeout: Timeout | None = None,
        deadline: float | None = None,
        max_retries: int | None = None,
        **fields: Any,
    ) -> Stream[ChatCompletionChunk]: ...

    @overload
    def create(
        self,
        /,
        *,
        model: str,
        messages: Messages,
        stream: bool,
        idempotency_key: str | None = None,
        timeout: Timeout | None = None,
        deadline: float | None = None,
        max_retries: int | None = None,
        **fields: Any,
    ) -> ChatCompletion | Stream[ChatCompletionChunk]: ...

    def create(
        self,
        /,
        *,
        model: str,
        messages: Messages,
        stream: bool = False,
        idempotency_key: str | None = None,
        timeout: Timeout | None = None,
        deadline: float | None = None,
        max_retries: int | None = None,
        **fields: Any,
    ) -> ChatCompletion | Stream[ChatCompletionChunk]:
        """Ask once; the other fields (temperature, max_tokens …) are sent as they are, those of `extra_body` over them.

        With `stream=True` it gives an iterator of chunks, whose request is sent when the first is asked for.
        """
        settings = self._caller.settings.patient(max_retries, timeout, deadline)
        call = calls.chat_call(model, messages, stream, fields, settings.key(idempotency_key))
        if not stream:
            return self._caller.run(calls.complete(call, settings))
        progress = Progress()
        return self._caller.stream(chat_chunks(call, settings, progress), progress)


class Chat:
    """`completions`."""

    def __init__(self, caller: Dispatcher) -> None:
        self.completions = Completions(caller)


class Models:
    """The models one may call."""

    def __init__(self, caller: Dispatcher) -> None:
        self._caller = caller

    def list(self) -> ModelList:
        """List the live endpoints, in OpenAI's format."""
        return self._caller.run(calls.list_models(self._caller.settings))


class AsyncCompletions:
    """OpenAI's chat completions on an endpoint (or, in the service's second generation, on `auto`)."""

    def __init__(self, caller: AsyncDispatcher) -> None:
        self._caller = caller

    @overload
    async def create(
        self,
        /,
        *,
        model: str,
        messages: Messages,
        stream: Literal[False] = False,
        idempotency_key: str | None = None,
        timeout: Timeout | None = None,
        deadline: float | None = None,
        max_retries: int | None = None,
        **fields: Any,
    ) -> ChatCompletion: ...

    @overload
    async def create(
        self,
        /,
        *,
        model: str,
        messages: Messages,
        stream: Literal[True],
        idempotency_key: str | None = None,
        timeout: Timeout | None = None,
        deadline: float | None = None,
        max_retries: int | None = None,
        **fields: Any,
    ) -> AsyncStream[ChatCompletionChunk]: ...

    @overload
    async def create(
        self,
        /,
        *,
        model: str,
        messages: Messages,
        stream: bool,
        idempotency_key: str | None = None,
        timeout: Timeout | None = None,
        deadline: float | None = None,
        max_retries: int | None = None,
        **fields: Any,
    ) -> ChatCompletion | AsyncStream[ChatCompletionChunk]: ...

    async def create(
        self,
        /,
        *,
        model: str,
        messages: Messages,
        stream: bool = False,
        idempotency_key: str | None = None,
        timeout: Timeout | None = None,
        deadline: float | None = None,
        max_retries: int | None = None,
        **fields: Any,
    ) -> ChatCompletion | AsyncStream[ChatCompletionChunk]:
        """Ask once; the other fields (temperature, max_tokens …) are sent as they are, those of `extra_body` over them.

        With `stream=True` it gives an iterator of chunks, whose request is sent when the first is asked for.
        """
        settings = self._caller.settings.patient(max_retries, timeout, deadline)
        call = calls.chat_call(model, messages, stream, fields, settings.key(idempotency_key))
        if not stream:
            return await self._caller.run(calls.complete(call, settings))
        progress = Progress()
        return self._caller.stream(chat_chunks(call, settings, progress), progress)


class AsyncChat:
    """`completions`."""

    def __init__(self, caller: AsyncDispatcher) -> None:
        self.completions = AsyncCompletions(caller)


class AsyncModels:
    """The models one may call."""

    def __init__(self, caller: AsyncDispatcher) -> None:
        self._caller = caller

    async def list(self) -> ModelList:
        """List the live endpoints, in OpenAI's format."""
        return await self._caller.run(calls.list_models(self._caller.settings))
