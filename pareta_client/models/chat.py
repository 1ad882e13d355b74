"""Chat completions, their chunks, and the list of models."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from pydantic import Field

from pareta_client.core import NO_RECEIPT, RateLimits, Receipt
from pareta_client.models.fields import Content, Count, ListOf, Moment, RecordOf, Text
from pareta_client.models.record import RawJson, Record


class Usage(Record):
    """Token counts of one completion."""

    prompt_tokens: Count = None
    completion_tokens: Count = None
    total_tokens: Count = None


_NO_USAGE = Usage.empty()


class Message(Record):
    """A message with its role and content."""

    role: Text = None
    content: Content = None


_NO_MESSAGE = Message.empty()


class Choice(Record):
    """One choice of a completion: `message` in a complete reply, `delta` in a stream."""

    index: Count = None
    finish_reason: Text = None
    # Records are frozen, so all choices can share one empty message.
    message: RecordOf[Message] = _NO_MESSAGE
    delta: RecordOf[Message] = _NO_MESSAGE


class ChatCompletionChunk(Record):
    """One chunk of a streamed answer; the new text is `choices[0].delta.content`."""

    id: Text = None
    object: Text = None
    model: Text = None
    created: Moment = None
    choices: ListOf[Choice] = Field(default_factory=list)
    usage: RecordOf[Usage] = _NO_USAGE


@dataclass(frozen=True, slots=True)
class ReplyMetadata:
    """Metadata of a reply that is not in its body."""

    receipt: Receipt = NO_RECEIPT
    request_id: str | None = None
    attempts: int = 1
    notes: tuple[str, ...] = ()
    rate_limits: RateLimits | None = None


class ChatCompletion(ChatCompletionChunk):
    """A complete answer with its receipt; the text is `choices[0].message.content`."""

    __slots__ = ("_metadata",)
    _metadata: ClassVar[ReplyMetadata]

    def with_metadata(self, metadata: ReplyMetadata) -> Self:
        """Set the metadata and return the completion."""
        object.__setattr__(self, "_metadata", metadata)
        return self

    @property
    def _reply_metadata(self) -> ReplyMetadata:
        return getattr(self, "_metadata", _NO_METADATA)

    @property
    def billed_micro_usd(self) -> int | None:
        """Micro-USD debited for this answer; 0 on an idempotent replay; None without a receipt."""
        return self._reply_metadata.receipt.billed_micro_usd

    @property
    def frontier_would_have_cost_micro_usd(self) -> int | None:
        """Micro-USD that a frontier model would have cost for the same request."""
        return self._reply_metadata.receipt.frontier_would_have_cost_micro_usd

    @property
    def savings_factor(self) -> float | None:
        """Frontier cost divided by billed cost; None if unknown or not billed."""
        return self._reply_metadata.receipt.savings_factor

    @property
    def request_id(self) -> str | None:
        """Request id of the service, for its support."""
        return self._reply_metadata.request_id

    @property
    def attempts(self) -> int:
        """Number of requests sent for this answer."""
        return self._reply_metadata.attempts

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes on invalid values in the reply; empty for a reply in OpenAI's format."""
        return self._reply_metadata.notes

    @property
    def rate_limits(self) -> RateLimits | None:
        """Rate limits in the `x-ratelimit-*` headers; None without them."""
        return self._reply_metadata.rate_limits

    def __reduce__(self) -> tuple[Any, ...]:
        return _completion, (self.to_dict(), self._reply_metadata)


_NO_METADATA = ReplyMetadata()


def _completion(raw: RawJson, metadata: ReplyMetadata) -> ChatCompletion:
    return ChatCompletion.model_validate(raw).with_metadata(metadata)


class Model(Record):
    """A model that the API key may call."""

    id: Text = None
    owned_by: Text = None
    created: Moment = None


class ModelList(Record):
    """Models that the API key may call, as an iterable and in `data`."""

    data: ListOf[Model] = Field(default_factory=list)

    # pydantic iterates over (field, value) pairs; a list of models iterates over its models.
    def __iter__(self) -> Iterator[Model]:  # type: ignore[override]
        return iter(self.data)

    def __len__(self) -> int:
        return len(self.data)
