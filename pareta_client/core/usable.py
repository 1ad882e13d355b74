"""What makes a success an answer: a usable first choice that the service did not break off."""

from typing import Any

from pareta_client.core.finish import Finish, finish_of

_BESIDE_CONTENT = (
    "tool_calls", "function_call", "refusal", "reasoning_content", "reasoning", "reasoning_details", "audio", "images",
    "annotations",
)  # fmt: skip


def why_unusable(content: Any) -> str | None:
    """Return why the JSON of a success is not an answer, as the end of "the body …"; None if it is one."""
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
    return _why_no_answer(first)


def carries_error(content: dict[str, Any]) -> bool:
    """Check whether an object says that it is an error, or has one beside or inside its choices."""
    if content.get("error") or content.get("object") == "error":
        return True
    choices = content.get("choices")
    return isinstance(choices, list) and any(isinstance(one, dict) and one.get("error") for one in choices[:1])


def is_broken_off(choice: dict[str, Any]) -> bool:
    """Check whether a choice's finish_reason, a text or an object with a `type`, says that it was broken off."""
    reason = choice.get("finish_reason")
    if isinstance(reason, dict):
        reason = reason.get("type") or reason.get("reason")
    return isinstance(reason, str) and finish_of(reason) is Finish.BROKEN


def _why_no_answer(choice: dict[str, Any]) -> str | None:
    if is_broken_off(choice):
        return "has an answer that the service broke off"
    message = choice.get("message")
    if not isinstance(message, dict) or not message:
        return "has a first choice without a message"
    if message.get("content") is not None or any(message.get(name) for name in _BESIDE_CONTENT):
        return None
    # Nothing was said: an empty answer if the model is known to have ended by itself, else no answer.
    return None if choice.get("finish_reason") else "has a first choice without content"
