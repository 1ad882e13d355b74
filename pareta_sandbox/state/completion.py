"""A completion: the answer with its receipt, and its wire format."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

Choices = list[dict[str, object]]


class Head(NamedTuple):
    """Fields that all chunks of a stream share."""

    id: str
    created: int
    model: str


@dataclass(frozen=True, slots=True)
class Completion:
    """An answer and its receipt (micro-USD)."""

    id: str
    created: int
    model: str
    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    price: int
    baseline: int
    latency_ms: float
    choices: str | None = None  # JSON of the choices of an upstream

    @property
    def head(self) -> Head:
        """Fields that all chunks of its stream share."""
        return Head(self.id, self.created, self.model)

    def usage(self) -> dict[str, int]:
        """Return the token counts as a JSON object."""
        total = self.prompt_tokens + self.completion_tokens
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": total,
        }


def serialized(done: Completion, n: int) -> bytes:
    """Serialize a completion in the format of OpenAI."""
    message = {"role": "assistant", "content": done.text}
    choices = [{"index": i, "message": message, "finish_reason": done.finish_reason} for i in range(n)]
    if done.choices is not None:
        choices = json.loads(done.choices)
    whole = {
        "id": done.id,
        "object": "chat.completion",
        "created": done.created,
        "model": done.model,
        "choices": choices,
        "usage": done.usage(),
    }
    return json.dumps(whole, ensure_ascii=False).encode("utf-8", "replace")


def split_tokens(text: str) -> list[str]:
    """Split an answer into tokens of four characters."""
    return [text[i : i + 4] for i in range(0, len(text), 4)] or [""]


def pieces(text: str, finish: str, n: int) -> Iterator[Choices]:
    """Yield the choices of each chunk: first the role, then the text, then the finish reason."""
    yield [{"index": i, "delta": {"role": "assistant", "content": ""}, "finish_reason": None} for i in range(n)]
    for part in split_tokens(text):
        yield [{"index": i, "delta": {"content": part}, "finish_reason": None} for i in range(n)]
    yield [{"index": i, "delta": {}, "finish_reason": finish} for i in range(n)]


def chunk(head: Head, choices: Choices, usage: dict[str, int] | None = None) -> bytes:
    """Serialize one chunk of a stream as a server-sent event."""
    whole: dict[str, object] = {
        "id": head.id,
        "object": "chat.completion.chunk",
        "created": head.created,
        "model": head.model,
        "choices": choices,
    }
    if usage is not None:
        whole["usage"] = usage
    return f"data: {json.dumps(whole, ensure_ascii=False)}\n\n".encode("utf-8", "replace")
