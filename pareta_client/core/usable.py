"""Check of a completion: a usable answer needs a first choice that the service did not abort."""

from typing import Any

from pareta_client.core.finish import Finish, finish_of

_OTHER_ANSWER_FIELDS = (
    "tool_calls", "function_call", "refusal", "reasoning_content", "reasoning", "reasoning_details", "audio", "images",
    "annotations",
)  # fmt: skip


def unusable_reason(content: Any) -> str | None:
    """Return why the JSON of a completion is not an answer (completes "the body …"), or None if it is one."""
    if content is None:
        return "is null"
    if not isinstance(content, dict):
        return f"is a JSON {type(content).__name__}, not an object"
    if carries_error(content):
        return "is an error, not a completion"
    choices = content.get("choices")
    if not isinstance(choices, list) or not choices:
        return "is an error, not a completion" if content.get("detail") else "has no choices"
    first = choices[0]
    if not isinstance(first, dict):
        return "has a first choice that is not an object"
    return _no_answer_reason(first)


def carries_error(content: dict[str, Any]) -> bool:
    """Check whether an object is an error, or has an error next to or inside its choices."""
    if content.get("error") or content.get("object") == "error":
        return True
    choices = content.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    return isinstance(first, dict) and bool(first.get("error"))


def is_aborted(choice: dict[str, Any]) -> bool:
    """Check whether the `finish_reason` of a choice means an abort."""
    return _finish(choice) is Finish.BROKEN


def _finish(choice: dict[str, Any]) -> Finish:
    """Return the meaning of a `finish_reason`: a text, or an object with a `type`."""
    reason = choice.get("finish_reason")
    if isinstance(reason, dict):
        reason = reason.get("type") or reason.get("reason")
    return finish_of(reason) if isinstance(reason, str) else Finish.UNKNOWN


def _no_answer_reason(choice: dict[str, Any]) -> str | None:
    if is_aborted(choice):
        return "has an answer that the service aborted"
    message = choice.get("message")
    if not message and _finish(choice) is Finish.FILTERED:
        return None  # a filter removed the whole message; a retry would give the same result
    if not isinstance(message, dict) or not message:
        return "has a first choice without a message"
    if message.get("content") is not None or any(message.get(name) for name in _OTHER_ANSWER_FIELDS):
        return None
    # No content: an empty answer if there is a finish_reason, otherwise no answer.
    return None if choice.get("finish_reason") else "has a first choice without content"
