"""Conversion of JSON values to a known type and range, otherwise to None with a note."""

import json
import re
from typing import Any

from pareta_client.core.json_reading import note

MAX_COUNT = 10**12
"""Largest accepted token count or receipt; raising it risks overflow of sums in the ledger."""
MAX_QUOTED_CHARACTERS = 60
"""Characters of a value that a note quotes; raising it makes notes longer."""
_NUMERAL = re.compile(r"\+?0*(\d{1,13})(?:\.0*)?", re.ASCII)
_TEXT_PARTS = ("text", "output_text")


def count_of(value: object) -> int | None:
    """Return an integer from 0 to 10^12, also from a numeral ("10") or a whole float (42.0); otherwise None."""
    number: int
    match value:
        case bool():
            return None
        case int():
            number = value
        case float():
            if not value.is_integer():
                return None
            number = int(value)
        case str():
            numeral = _NUMERAL.fullmatch(value.strip()) if len(value) < MAX_QUOTED_CHARACTERS else None
            if numeral is None:
                return None
            number = int(numeral[1])
        case _:
            return None
    return number if 0 <= number <= MAX_COUNT else None


def noted_count(name: str, value: object, notes: list[str]) -> int | None:
    """Return a count, or None with a note that quotes the value."""
    count = count_of(value)
    if count is None:
        note(notes, f"{name} is {shown(value)}: not an integer from 0 to 10^12, ignored")
    return count


def content_of(value: object, notes: list[str]) -> str | None:
    """Return the text of a message's `content`: a text, the joined text parts of a list, or its JSON with a note."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list) and not value:
        return ""
    texts = [text for text in map(_text_part, value) if text is not None] if isinstance(value, list) else []
    if not texts:
        note(notes, f"content is {shown(value)}: kept as JSON")
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list) and len(texts) < len(value):
        note(notes, "content has parts that are not text: ignored")
    return "".join(texts)


def _text_part(part: object) -> str | None:
    if isinstance(part, str):
        return part
    if not isinstance(part, dict) or part.get("type", "text") not in _TEXT_PARTS:
        return None
    text = part.get("text")
    if isinstance(text, dict):  # as in OpenAI's Assistants: {"type": "text", "text": {"value": "…"}}
        text = text.get("value")
    return text if isinstance(text, str) else None


def shown(value: Any) -> str:
    """Return a short text for a value."""
    match value:
        case dict():
            return "an object"
        case list():
            return "a list"
        case int() if value.bit_length() > 200:  # Python refuses to print beyond 4,300 digits
            return f"an integer of {value.bit_length()} bits"
        case str() if len(value) > MAX_QUOTED_CHARACTERS:
            return f"{value[:MAX_QUOTED_CHARACTERS]!r}…"
        case _:
            return repr(value)
