"""Chat completions, their chunks, and the models one may call."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field

from pareta_client.core import NO_RECEIPT, Receipt
from pareta_client.models.fields import AnObject, Content, Count, Moment, Objects, Text
from pareta_client.models.record import RawJson, Record


class Usage(Record):
    """Tokens of one completion."""

    prompt_tokens: Count = None
    completion_tokens: Count = None
    total_tokens: Count = None


_NO_USAGE = Usage.empty()


class Message(Record):
    """What was said, and by whom."""

    role: Text = None
    content: Content = None


_NO_MESSAGE = Message.empty()


class Choice(Record):
    """One answer of a completion: `message` when complete, `delta` in a stream."""

    index: Count = None
    finish_reason: Text = None
    # Records are frozen, so one empty one serves all.
    message: Annotated[Message, AnObject] = _NO_MESSAGE
    delta: Annotated[Message, AnObject] = _NO_MESSAGE


class ChatCompletionChunk(Record):
    """One piece of a streamed answer; the new text is `choices[0].delta.content`."""

    id: Text = None
    object: Text = None
    model: Text = None
    created: Moment = None
    choices: Annotated[list[Choice], Objects] = Field(default_factory=list)
    usage: Annotated[Usage, AnObject] = _NO_USAGE


@dataclass(frozen=True, slots=True)
class Arrival:
    """What came with an answer but not in its body."""

    receipt: Receipt = NO_RECEIPT
    request_id: str | None = None
    attempts: int = 1
    notes: tuple[str, ...] = ()


class ChatCompletion(ChatCompletionChunk):
    """A complete answer with its receipt; the text is `choices[0].message.content`."""

    __slots__ = ("_arrival",)
    _arrival: ClassVar[Arrival]

    def arrived_with(self, arrival: Arrival) -> Self:
        """Note what came with the answer but not in its body."""
        object.__setattr__(self, "_arrival", arrival)
        return self

    @property
    def _came_with(self) -> Arrival:
        return getattr(self, "_arrival", _NOTHING)

    @property
    def billed_micro_usd(self) -> int | None:
        """Micro-USD debited for this answer; 0 on an idempotent replay; None if the service gave no receipt."""
        return self._came_with.receipt.billed_micro_usd

    @property
    def frontier_would_have_cost_micro_usd(self) -> int | None:
        """Micro-USD that a frontier model would have cost for the same request."""
        return self._came_with.receipt.frontier_would_have_cost_micro_usd

    @property
    def savings_factor(self) -> float | None:
        """How many times cheaper this answer was than a frontier model's; None if unknown or not billed."""
        return self._came_with.receipt.savings_factor

    @property
    def request_id(self) -> str | None:
        """The service's id of the request, to quote to its support."""
        return self._came_with.request_id

    @property
    def attempts(self) -> int:
        """How many requests it took to get this answer."""
        return self._came_with.attempts

    @property
    def notes(self) -> tuple[str, ...]:
        """What was odd about the reply while it was read, in words; empty for a reply in OpenAI's format."""
        return self._came_with.notes

    def __reduce__(self) -> tuple[Any, ...]:
        return _completion, (self.to_dict(), self._came_with)


_NOTHING = Arrival()


def _completion(raw: RawJson, arrival: Arrival) -> ChatCompletion:
    return ChatCompletion.model_validate(raw).arrived_with(arrival)


class Model(Record):
    """A model that this key may call."""

    id: Text = None
    owned_by: Text = None
    created: Moment = None


class ModelList(Record):
    """The models that this key may call: iterate over it, or read `data`."""

    data: Annotated[list[Model], Objects] = Field(default_factory=list)

    # pydantic's own iteration gives (field, value) pairs; a list of models is meant to give models.
    def __iter__(self) -> Iterator[Model]:  # type: ignore[override]
        return iter(self.data)

    def __len__(self) -> int:
        return len(self.data)
