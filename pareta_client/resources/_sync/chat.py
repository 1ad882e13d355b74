# Generated from pareta_client/resources/_async/chat.py by `python -m scripts.unasync`: edit that file.
"""`client.chat.completions` and `client.models`."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal, overload

from pareta_client.core import Progress, chat_chunks
from pareta_client.models.chat import ChatCompletion, ChatCompletionChunk, ModelList
from pareta_client.operations import chat as calls
from pareta_client.resources.base import Resource
from pareta_client.settings import Timeout
from pareta_client.transport import Dispatcher, Stream

Messages = Iterable[Mapping[str, Any]]


class Completions(Resource):
    """OpenAI's chat completions; `model` is an endpoint id, or `auto` in the second generation of the service."""

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
        """Request one completion; other fields (temperature, max_tokens …) are sent unchanged.

        The fields of `extra_body` override all others.
        With `stream=True` the result is an iterator of chunks; the request is sent with the first iteration.
        """
        settings = self._settings.with_options(max_retries, timeout, deadline)
        call = calls.chat_call(model, messages, stream, fields, settings.key(idempotency_key))
        if not stream:
            return self._run(calls.complete(call, settings))
        progress = Progress()
        return self._dispatcher.stream(chat_chunks(call, settings, progress), progress)


class Chat:
    """Group of `completions`."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self.completions = Completions(dispatcher)


class Models(Resource):
    """Models that the API key may call."""

    def list(self) -> ModelList:
        """List the live endpoints, in OpenAI's format."""
        return self._run(calls.list_models(self._settings))
