"""`client.chat.completions` and `client.models`."""

# ruff: noqa: ASYNC109 - `timeout` is part of the public API

from collections.abc import Iterable, Mapping
from typing import Any, Literal, overload

from pareta_client.core import Progress, chat_chunks
from pareta_client.models.chat import ChatCompletion, ChatCompletionChunk, ModelList
from pareta_client.operations import chat as calls
from pareta_client.resources.base import AsyncResource
from pareta_client.settings import Timeout
from pareta_client.transport import AsyncDispatcher, AsyncStream

Messages = Iterable[Mapping[str, Any]]


class AsyncCompletions(AsyncResource):
    """OpenAI's chat completions; `model` is an endpoint id, or `auto` in the second generation of the service."""

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
        """Request one completion; other fields (temperature, max_tokens …) are sent unchanged.

        The fields of `extra_body` override all others.
        With `stream=True` the result is an iterator of chunks; the request is sent with the first iteration.
        """
        settings = self._settings.with_options(max_retries, timeout, deadline)
        call = calls.chat_call(model, messages, stream, fields, settings.key(idempotency_key))
        if not stream:
            return await self._run(calls.complete(call, settings))
        progress = Progress()
        return self._dispatcher.stream(chat_chunks(call, settings, progress), progress)


class AsyncChat:
    """Group of `completions`."""

    def __init__(self, dispatcher: AsyncDispatcher) -> None:
        self.completions = AsyncCompletions(dispatcher)


class AsyncModels(AsyncResource):
    """Models that the API key may call."""

    async def list(self) -> ModelList:
        """List the live endpoints, in OpenAI's format."""
        return await self._run(calls.list_models(self._settings))
