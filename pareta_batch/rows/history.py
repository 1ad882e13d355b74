"""Chat histories from a column, checked before anything is sent."""

import json
from collections.abc import Callable, Mapping

from pareta_batch.rows.attached_files import check_inline
from pareta_batch.rows.identity import Message
from pareta_batch.rows.placeholders import MissingValue
from pareta_batch.rows.values import MAX_NESTING, is_missing, nesting, plain

INSTRUCTIONS = frozenset({"system", "developer"})
ROLES = ("system", "developer", "user", "assistant", "tool", "function")
FIELDS = frozenset({"role", "content", "name", "tool_calls", "tool_call_id", "function_call", "refusal", "audio"})


def history_of(value: object, column: str) -> list[Message]:
    """Return the messages of a row's history: a list of objects, or the JSON text of one.

    Raises MissingValue without a value, and ValueError, with the number of the message, for an invalid one.
    """
    if is_missing(value):
        raise MissingValue(column)
    messages = _parsed(value, column)
    if not isinstance(messages, list) or not messages:
        raise ValueError(f"{column!r} is {messages!r:.60}, not a list of messages; each has a role and a content")
    found = [_message(each, f"{column}[{number}]") for number, each in enumerate(messages)]
    if all(each["role"] in INSTRUCTIONS for each in found):
        raise ValueError(f"{column!r} has no message of a user; add one")
    return found


def _parsed(value: object, column: str) -> object:
    if not isinstance(value, str):
        return plain(value)
    try:
        parsed = json.loads(value)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{column!r} is no JSON ({error}); write a list of messages") from None
    if nesting(parsed) > MAX_NESTING:
        raise ValueError(f"{column!r} is nested deeper than {MAX_NESTING} brackets")
    return plain(parsed)


def _message(value: object, place: str) -> Message:
    if not isinstance(value, Mapping):
        raise ValueError(f"{place} is {value!r:.60}, not an object with role and content")  # noqa: TRY004
    # A Parquet struct has every field in each message: a missing one is null.
    message = {name: inner for name, inner in value.items() if inner is not None}
    if message.get("role") not in ROLES:
        raise ValueError(f"{place} has the role {message.get('role')!r:.60}; use one of: {', '.join(ROLES)}")
    if unknown := sorted(map(str, message.keys() - FIELDS)):
        raise ValueError(f"{place} has the unknown field {unknown[0]!r:.60}; use: {', '.join(sorted(FIELDS))}")
    _check_content(message, place)
    return message


def _check_content(message: Message, place: str) -> None:
    content, called = message.get("content"), message.get("tool_calls") or message.get("function_call")
    if content is None:
        if message["role"] != "assistant" or not (called or message.get("refusal") or message.get("audio")):
            raise ValueError(f"{place} has no content")
        message["content"] = None
    elif isinstance(content, list):
        if not content:
            raise ValueError(f"{place} has no content")
        message["content"] = [_part(part, f"{place}.content[{number}]") for number, part in enumerate(content)]
    elif not isinstance(content, str):
        raise ValueError(f"{place} has the content {content!r:.60}, which is no text and no list of parts")
    if message["role"] == "tool" and not isinstance(message.get("tool_call_id"), str):
        raise ValueError(f"{place} is the result of a tool without its tool_call_id")


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _has(name: str) -> Callable[[object], bool]:
    return lambda value: isinstance(value, Mapping) and isinstance(value.get(name), str) and bool(value[name])


_PARTS: Mapping[str, tuple[str, Callable[[object], bool], str]] = {
    "text": ("text", _is_text, "a text"),
    "refusal": ("refusal", _is_text, "a text"),
    "image_url": ("image_url", _has("url"), "an object with url"),
    "input_audio": ("input_audio", _has("data"), "an object with data"),
    "file": ("file", _has("file_data"), "an object with file_data"),
}


def _part(value: object, place: str) -> Message:
    if not isinstance(value, Mapping):
        raise ValueError(f"{place} is {value!r:.60}, not an object with a type")  # noqa: TRY004
    kind = value.get("type")
    if not isinstance(kind, str) or kind not in _PARTS:
        raise ValueError(f"{place} has the type {kind!r:.60}; use one of: {', '.join(_PARTS)}")
    name, fits, shape = _PARTS[kind]
    part = {each: inner for each, inner in value.items() if inner is not None}
    if not fits(part.get(name)):
        raise ValueError(f"{place} of the type {kind} needs {name!r}: {shape}")
    check_inline(part, place)
    return part
