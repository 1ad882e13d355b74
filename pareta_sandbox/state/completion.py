"""A completion: the answer with its receipt, and its wire format."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

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
    choices: str | None = None  # JSON of the choices, if they have more than the text

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


def choices_of(done: Completion, n: int) -> list[dict[str, Any]]:
    """Return the choices of a completion in the format of OpenAI."""
    if done.choices is not None:
        choices: list[dict[str, Any]] = json.loads(done.choices)
        return choices
    message = {"role": "assistant", "content": done.text}
    return [{"index": i, "message": message, "finish_reason": done.finish_reason} for i in range(n)]


def serialized(done: Completion, n: int) -> bytes:
    """Serialize a completion in the format of OpenAI."""
    whole = {
        "id": done.id,
        "object": "chat.completion",
        "created": done.created,
        "model": done.model,
        "choices": choices_of(done, n),
        "usage": done.usage(),
    }
    return json.dumps(whole, ensure_ascii=False).encode("utf-8", "replace")


def split_tokens(text: str) -> list[str]:
    """Split an answer into tokens of four characters."""
    return [text[i : i + 4] for i in range(0, len(text), 4)] or [""]


def pieces(done: Completion, n: int) -> Iterator[Choices]:
    """Yield the choices of each chunk: first the role, then the parts of the reply, then the finish reason."""
    yield [{"index": i, "delta": {"role": "assistant", "content": ""}, "finish_reason": None} for i in range(n)]
    for part in _parts(choices_of(done, n)[0]):
        yield [{"index": i, "finish_reason": None, **part} for i in range(n)]
    yield [{"index": i, "delta": {}, "finish_reason": done.finish_reason} for i in range(n)]


def _parts(choice: Mapping[str, Any]) -> Iterator[dict[str, object]]:
    """Yield the fields of the chunks of one choice: its reasoning, its text with log probabilities, its tool calls."""
    message, logprobs = choice["message"], choice.get("logprobs")
    if reasoning := message.get("reasoning_content"):
        for part in split_tokens(reasoning):
            yield {"delta": {"reasoning_content": part}}
    calls = message.get("tool_calls") or ()
    tokens = [] if calls else split_tokens(message.get("content") or "")
    likely = logprobs["content"] if logprobs else []
    for at, part in enumerate(tokens):
        own = {"logprobs": {"content": likely[at : at + 1]}} if logprobs else {}
        yield {"delta": {"content": part}, **own}
    for at, call in enumerate(calls):
        called = call["function"]
        begun = {"index": at, **call, "function": {**called, "arguments": ""}}
        yield {"delta": {"tool_calls": [begun]}}
        for part in split_tokens(called["arguments"]):
            yield {"delta": {"tool_calls": [{"index": at, "function": {"arguments": part}}]}}


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
