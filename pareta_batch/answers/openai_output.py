"""Answers in the output format of OpenAI's batch API: one object per row, with `custom_id`, `response` and `error`."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pareta_batch.ledger import Outcome
from pareta_batch.rows import digest

Json = Any  # what a service sent

COLUMNS = ("id", "custom_id", "response", "error")


def openai_record(
    batch: str, model: str, key: str, outcome: Outcome | None, settled: datetime | None
) -> dict[str, Json]:
    """Return the line of a row; `settled` is the time of its answer, in UTC."""
    answered = outcome is not None and outcome.state == "settled"
    return {
        "id": f"batch_req_{digest([batch, key])[:24]}",
        "custom_id": key,
        "response": _response(model, outcome, settled) if outcome is not None and answered else None,
        "error": None if answered else _error(outcome),
    }


def is_openai_output(columns: Sequence[str]) -> bool:
    """Return whether a file has the columns of this format."""
    return tuple(columns) == COLUMNS


def _error(outcome: Outcome | None) -> Mapping[str, str | None]:
    if outcome is None or outcome.state == "pending":
        in_doubt = outcome is not None and outcome.in_doubt
        return {"code": "pending", "message": "sent, its answer never came" if in_doubt else "not sent yet"}
    return {"code": outcome.error, "message": outcome.error_message}


def _response(model: str, outcome: Outcome, settled: datetime | None) -> Mapping[str, Json]:
    prompt, completion = outcome.prompt_tokens or 0, outcome.completion_tokens or 0
    body = {
        "id": outcome.request_id or f"chatcmpl-{outcome.fingerprint[:24]}",
        "object": "chat.completion",
        "created": int(settled.replace(tzinfo=UTC).timestamp()) if settled else 0,
        "model": model,
        "choices": _choices(outcome),
        "usage": {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion},
    }
    return {"status_code": 200, "request_id": outcome.request_id, "body": body}


def _choices(outcome: Outcome) -> list[Json]:
    """Return the choices: all of them are kept where there are several, otherwise a message if it is more than text."""
    kept = _parsed(outcome.message)
    if isinstance(kept, list):
        return kept
    message = {"role": "assistant", "content": outcome.answer, "refusal": None}
    logprobs = None
    if isinstance(kept, dict):
        logprobs = kept.pop("logprobs", None)
        message |= kept
    return [{"index": 0, "message": message, "logprobs": logprobs, "finish_reason": outcome.finish_reason}]


def _parsed(message: str | None) -> Json:
    try:
        return None if message is None else json.loads(message)
    except (ValueError, RecursionError):  # nested deeper than Python parses
        return None
