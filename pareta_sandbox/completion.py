"""A completion: the answer and its receipt, and how both look on the wire."""

import json
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Completion:
    """An answer and its receipt (micro-USD)."""

    id: str
    created: int
    model: str
    text: str
    finish_reason: Literal["stop", "length"]
    prompt_tokens: int
    completion_tokens: int
    price: int
    baseline: int
    latency_ms: float

    def usage(self) -> dict[str, int]:
        """Render the token counts."""
        total = self.prompt_tokens + self.completion_tokens
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": total,
        }


def rendered(done: Completion, n: int) -> bytes:
    """Render a completion as OpenAI does."""
    message = {"role": "assistant", "content": done.text}
    choices = [{"index": i, "message": message, "finish_reason": done.finish_reason} for i in range(n)]
    whole = {
        "id": done.id,
        "object": "chat.completion",
        "created": done.created,
        "model": done.model,
        "choices": choices,
        "usage": done.usage(),
    }
    return json.dumps(whole, ensure_ascii=False).encode("utf-8", "replace")


def chunked(text: str) -> list[str]:
    """Split an answer into tokens of four characters."""
    return [text[i : i + 4] for i in range(0, len(text), 4)] or [""]


def chunk_head(done: Completion) -> dict[str, object]:
    """Render what all chunks of a stream have in common."""
    return {"id": done.id, "object": "chat.completion.chunk", "created": done.created, "model": done.model}


def chunk(done: Completion, index: int, delta: dict[str, str], finish: str | None = None) -> dict[str, object]:
    """Render one chunk of a stream."""
    return {**chunk_head(done), "choices": [{"index": index, "delta": delta, "finish_reason": finish}]}
