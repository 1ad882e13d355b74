"""Chat completions, their chunks, and the models one may call."""

from collections.abc import Iterator

from pydantic import Field, PrivateAttr

from pareta_client.models.record import Loose, Many, One, Record
from pareta_client.receipt import NO_RECEIPT, Receipt


class Usage(Record):
    """Tokens of one completion."""

    prompt_tokens: Loose[int] = None
    completion_tokens: Loose[int] = None
    total_tokens: Loose[int] = None


class Message(Record):
    """What was said, and by whom."""

    role: Loose[str] = None
    content: Loose[str] = None


class Choice(Record):
    """One answer of a completion: `message` when complete, `delta` in a stream."""

    index: Loose[int] = None
    finish_reason: Loose[str] = None
    message: One[Message] = Field(default_factory=Message)
    delta: One[Message] = Field(default_factory=Message)


class ChatCompletionChunk(Record):
    """One piece of a streamed answer; the new text is `choices[0].delta.content`."""

    id: Loose[str] = None
    object: Loose[str] = None
    model: Loose[str] = None
    created: Loose[int] = None
    choices: Many[Choice] = Field(default_factory=list)
    usage: One[Usage] = Field(default_factory=Usage)


class ChatCompletion(ChatCompletionChunk):
    """A complete answer with its receipt; the text is `choices[0].message.content`."""

    _receipt: Receipt = PrivateAttr(default=NO_RECEIPT)
    _request_id: str | None = PrivateAttr(default=None)
    _attempts: int = PrivateAttr(default=1)

    @property
    def billed_micro_usd(self) -> int | None:
        """Micro-USD debited for this answer; 0 on an idempotent replay; None if the service gave no receipt."""
        return self._receipt.billed_micro_usd

    @property
    def frontier_would_have_cost_micro_usd(self) -> int | None:
        """Micro-USD that a frontier model would have cost for the same request."""
        return self._receipt.frontier_would_have_cost_micro_usd

    @property
    def savings_factor(self) -> float | None:
        """How many times cheaper this answer was than a frontier model's; None if unknown or not billed."""
        return self._receipt.savings_factor

    @property
    def request_id(self) -> str | None:
        """The service's id of the request, to quote to its support."""
        return self._request_id

    @property
    def attempts(self) -> int:
        """How many requests it took to get this answer."""
        return self._attempts

    def noting(self, receipt: Receipt, request_id: str | None, attempts: int) -> "ChatCompletion":
        """Attach what came with the answer but not in its body."""
        self._receipt, self._request_id, self._attempts = receipt, request_id, attempts
        return self


class Model(Record):
    """A model that this key may call."""

    id: Loose[str] = None
    owned_by: Loose[str] = None
    created: Loose[int] = None


class ModelList(Record):
    """The models that this key may call: iterate over it, or read `data`."""

    data: Many[Model] = Field(default_factory=list)

    # pydantic's own iteration gives (field, value) pairs; a list of models is meant to give models.
    def __iter__(self) -> Iterator[Model]:  # type: ignore[override]
        return iter(self.data)

    def __len__(self) -> int:
        return len(self.data)
