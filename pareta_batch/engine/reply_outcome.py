"""Conversion of a completion into the fields of its row's outcome: text, message, flag and notes."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pareta_batch.errors import shown
from pareta_batch.ledger import MAX_KEPT_CHARS, Flag
from pareta_batch.response_format import Checked
from pareta_client import ChatCompletion, Finish, finish_of

_FLAGS: Mapping[Finish, Flag] = {
    Finish.CUT: "cut",
    Finish.FILTERED: "filtered",
    Finish.BROKEN: "unclear",
    Finish.UNKNOWN: "unclear",
    Finish.ABSENT: "unclear",
}
_TEXT_PARTS = ("text", "output_text")

Json = Any  # what a service sent


def reply_fields(completion: ChatCompletion) -> dict[str, Any]:  # fields of an Outcome
    """Return the fields of the outcome for an answer."""
    choices, usage = completion.choices, completion.usage
    first = choices[0] if choices else None
    message, problem = as_json(non_text_content([choice.to_dict() for choice in choices]))
    notes = (*completion.notes, problem) if problem else completion.notes
    return {
        "answer": first.message.content if first else None,
        "finish_reason": first.finish_reason if first else None,
        "flag": flag_of(completion),
        "request_id": completion.request_id,
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "message": message,
        "notes": "; ".join(notes) if notes else None,
    }


def checked_fields(fields: dict[str, Any], checked: Checked) -> dict[str, Any]:  # fields of an Outcome
    """Return the fields with the result of the check; a repaired answer keeps its original as the message."""
    if checked.repaired is None:
        return {**fields, "flag": None if checked.fit == "fits" else checked.fit}
    original, _ = as_json({"role": "assistant", "content": fields["answer"]})
    notes = [fields["notes"], checked.note]
    return {
        **fields,
        "answer": checked.repaired,
        "message": fields["message"] or original,
        "notes": "; ".join(note for note in notes if note),
    }


def unread_fields(completion: ChatCompletion, error: Exception) -> dict[str, Any]:  # as above
    """Return the fields of the outcome for a received answer that cannot be read; it is not bought again."""
    try:
        raw = repr(completion.to_dict())[:MAX_KEPT_CHARS]
    except Exception as broken:  # noqa: BLE001 - the receipt must be kept
        raw = f"(its repr raises {type(broken).__name__})"
    return {
        "error": type(error).__name__,
        "error_message": f"the answer cannot be read: {shown(error)}; it was {raw}",
        "request_id": completion.request_id,
    }


def flag_of(completion: ChatCompletion) -> Flag | None:
    """Return the flag of the first choice that has one; a flagged answer was paid for, so it is kept."""
    flags = [_flag(choice.to_dict(), choice.message.content, choice.finish_reason) for choice in completion.choices]
    return next((flag for flag in flags if flag is not None), None)


def _flag(choice: Mapping[str, Json], answer: str | None, finish_reason: str | None) -> Flag | None:
    if flag := _FLAGS.get(finish_of(finish_reason)):
        return flag
    message = _message(choice)
    if choice.get("error") or not _has_text(message.get("content")):
        return "unclear"
    called = message.get("tool_calls") or message.get("function_call")
    return None if called or (answer and answer.strip()) else "empty"


def non_text_content(choices: Sequence[Mapping[str, Json]]) -> Json:
    """Return the content that one text cannot hold: the message of a single choice, or all choices; else None."""
    if len(choices) > 1:
        return list(choices)
    if not choices:
        return None
    message, logprobs = _message(choices[0]), choices[0].get("logprobs")
    more = any(value for name, value in message.items() if name not in ("role", "content"))
    if not (more or logprobs or not _only_text(message.get("content"))):
        return None
    return {**message, "logprobs": logprobs} if logprobs else message


def _message(choice: Mapping[str, Json]) -> Mapping[str, Json]:
    message = choice.get("message")
    return message if isinstance(message, dict) else {}


def _has_text(content: Json) -> bool:
    """Check whether a content is a text, parts of which one is a text, or nothing: any other was kept as JSON."""
    match content:
        case None | str() | []:
            return True
        case list():
            return any(isinstance(part, str) or _is_text(part) for part in content)
        case _:
            return False


def _only_text(content: Json) -> bool:
    match content:
        case None | str():
            return True
        case list():
            return all(isinstance(part, str) or _is_text(part) for part in content)
        case _:
            return False


def _is_text(part: Json) -> bool:
    if not isinstance(part, dict) or part.get("type", "text") not in _TEXT_PARTS:
        return False
    text = part.get("text")
    return isinstance(text.get("value") if isinstance(text, dict) else text, str)


def as_json(value: Json) -> tuple[str | None, str | None]:
    """Return a value as JSON text, or the reason why it cannot be stored."""
    if value is None:
        return None, None
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False), None
    except (ValueError, TypeError, RecursionError) as error:
        return None, f"message: cannot be kept as JSON ({shown(error)})"
