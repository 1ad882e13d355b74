"""JSON decoding of replies: strict first, then lenient with a note, so that no paid answer is lost.

Every decoded value can be encoded as strict JSON: no NaN, infinity, unpaired surrogate or deep nesting.
"""

import json
import re
from collections.abc import Iterable, Iterator
from math import isfinite
from typing import Any

from pydantic_core import from_json

MAX_DEPTH = 100
"""Levels of nesting that the lenient decoder keeps; a deeper value becomes its JSON text. Raising it costs stack."""
MAX_BRACKETS = 200_000
"""Brackets that are searched for deep nesting; raising it lets one invalid reply block the event loop longer."""
MAX_INTEGER_DIGITS = 400
"""Digits of an integer that the lenient decoder keeps as a number; a longer one becomes text."""
MAX_NOTES = 20
"""Notes of one reply; raising it lets a malicious reply use more memory."""
_ESCAPE = re.compile(r"\\(?:[\"\\/bfnrt]|u[0-9a-fA-F]{4}|(?P<quote>')|(?P<bad>))")
"""Matches every escape, so that none begins in the middle of another; group `bad` matches one that JSON lacks."""
_TOKENS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]', re.DOTALL)
_AROUND = "\ufeff\x00 \t\r\n\v\f"

Json = Any  # any JSON value


def read_json(body: bytes, notes: list[str]) -> Json:
    """Return the value of a JSON text; add a note if it was decoded leniently.

    Raises ValueError if the text is not JSON, and no other exception for any body.
    """
    try:
        value = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        value = _read_leniently(body)
        note(notes, f"invalid JSON in the reply, decoded leniently: {error}")
        return value
    if _holds_infinity([value]):
        note(notes, "the reply's JSON has a number outside the range of a double: kept as text")
        return _read_leniently(body)
    return value


def note(notes: list[str], text: str) -> None:
    """Add a note, unless it is a duplicate or the limit is reached."""
    if len(notes) < MAX_NOTES and text not in notes:
        notes.append(text)


def _read_leniently(body: bytes) -> Json:
    text = body.decode(json.detect_encoding(body), "replace").strip(_AROUND)
    try:
        return _without_surrogates(_decoded(_shallow(text)))
    except RecursionError:  # the caller may have used most of the stack
        raise ValueError("nested too deeply") from None


def _decoded(text: str) -> Json:
    """Return the value of a text; an object may be followed by other text than JSON (`[DONE]`, a comment)."""
    try:
        return _first_of(text)
    except json.JSONDecodeError:
        repaired = _ESCAPE.sub(_repaired, text)
        if repaired == text:
            raise
    return _first_of(repaired)


def _repaired(escape: re.Match[str]) -> str:
    return escape["quote"] or (escape[0] if escape["bad"] is None else escape[0] * 2)


def _first_of(text: str) -> Json:
    value, end = _DECODER.raw_decode(text)
    rest = text[end:].strip()
    if rest and (not isinstance(value, dict) or rest.startswith(("{", '["', "[{", "[["))):
        raise json.JSONDecodeError("Extra data", text, end)
    return value


def _shallow(text: str) -> str:
    """Replace values nested deeper than MAX_DEPTH by strings with their JSON."""
    if not MAX_DEPTH < text.count("[") + text.count("{") <= MAX_BRACKETS:
        return text
    kept, end = [], 0
    for start, stop in _deep_parts(text):
        kept += [text[end:start], json.dumps(text[start:stop])]
        end = stop
    return "".join([*kept, text[end:]])


def _deep_parts(text: str) -> Iterator[tuple[int, int]]:
    """Yield the start and end position of each value nested deeper than MAX_DEPTH."""
    depth, start = 0, 0
    for token in _TOKENS.finditer(text):
        match token[0]:
            case "[" | "{":
                depth += 1
                if depth == MAX_DEPTH + 1:
                    start = token.start()
            case "]" | "}":
                if depth == MAX_DEPTH + 1:
                    yield start, token.end()
                depth -= 1


def _without_surrogates(value: Json) -> Json:
    match value:
        case str():
            return value if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        case list():
            return [_without_surrogates(item) for item in value]
        case dict():
            return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
        case _:
            return value


def _holds_infinity(value: dict[str, Json] | list[Json]) -> bool:
    """Check for a number that overflowed to infinity; common types first, because every reply is checked."""
    items: Iterable[Json] = value.values() if isinstance(value, dict) else value
    for item in items:
        kind = type(item)
        if kind is str or kind is int:
            continue
        if kind is float:
            if not isfinite(item):
                return True
        elif (kind is dict or kind is list) and _holds_infinity(item):
            return True
    return False


def _integer(digits: str) -> int | str:
    return int(digits) if len(digits) <= MAX_INTEGER_DIGITS else digits


def _number(digits: str) -> float | str:
    number = float(digits)
    return number if isfinite(number) else digits


_DECODER = json.JSONDecoder(strict=False, parse_int=_integer, parse_float=_number, parse_constant=str)
