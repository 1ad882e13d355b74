"""Turns of a row: answers that do not fit the schema, each with the request that asks again."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from pareta_batch.rows.identity import Message, digest
from pareta_batch.rows.requests import RowRequest

ASK_AGAIN = (
    "The answer does not fit the JSON schema: {problem}\n"
    "Answer the question again, with JSON that fits the schema and without any other text."
)


@dataclass(frozen=True)
class Turn:
    """A paid answer that does not fit; `problem` is the validator's message.

    `resent`: it answered a request in doubt. `lost`: that request was billed before, and its receipt is lost.
    """

    answer: str
    problem: str
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    billed_micro_usd: int | None = None
    request_id: str | None = None
    resent: bool = False
    lost: bool = False


def turns_of(text: str | None) -> tuple[Turn, ...]:
    """Return the turns that the ledger stores for a row."""
    return tuple(Turn(**turn) for turn in json.loads(text)) if text else ()


def turns_text(turns: Sequence[Turn]) -> str | None:
    """Return the turns as the ledger stores them."""
    return json.dumps([asdict(turn) for turn in turns]) if turns else None


def request_after(request: RowRequest, turns: Sequence[Turn]) -> RowRequest:
    """Return the request that asks again after these turns; its fingerprint gives it an idempotency key of its own."""
    if not turns:
        return request
    added: list[Message] = []
    for turn in turns:
        added.append({"role": "assistant", "content": turn.answer})
        added.append({"role": "user", "content": ASK_AGAIN.format(problem=turn.problem)})
    work = digest(["turn/1", request.fingerprint, added])
    return replace(request, fingerprint=work, messages=(*request.messages, *added))
