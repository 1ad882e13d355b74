"""JSON of a reply: strict first, then lenient with a note, so that one odd character does not cost a paid answer.

Whatever is returned can be written as strict JSON again: no NaN, no infinity, no lone surrogate, no deep nesting.
"""

import json
import re
from collections.abc import Iterable, Iterator
from math import isfinite
from typing import Any

from pydantic_core import from_json

DEEPEST = 100
"""Levels of nesting kept as structure by the lenient reader; a deeper value is kept as its text."""
MOST_BRACKETS = 200_000
"""Brackets that are looked through for deep nesting; raising it lets one broken reply hold up the event loop."""
LONGEST_INTEGER = 400
"""Digits of an integer that the lenient reader keeps as a number; a longer one is kept as its text."""
MOST_NOTES = 20
"""Notes kept for one reply; raising it lets a hostile reply fill memory with notes."""
_TOKENS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]', re.DOTALL)
_AROUND = "\ufeff\x00 \t\r\n\v\f"

Json = Any  # what a JSON text may hold


def read_json(body: bytes, notes: list[str]) -> Json:
    """Return the value of a JSON text; adds a note if it had to be read leniently, raises ValueError if it cannot be.

    The body comes from outside: no other exception is raised, however deep, large or broken it is.
    """
    try:
        value = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        value = _read_leniently(body)
        note(notes, f"the reply's JSON was read leniently: {error}")
        return value
    if _holds_infinity([value]):
        note(notes, "the reply's JSON has a number that no double can hold: kept as text")
        return _read_leniently(body)
    return value


def note(notes: list[str], text: str) -> None:
    """Add a note, unless it is there already or there are too many."""
    if len(notes) < MOST_NOTES and text not in notes:
        notes.append(text)


def _read_leniently(body: bytes) -> Json:
    text = body.decode(json.detect_encoding(body), "replace").strip(_AROUND)
    try:
        return _without_surrogates(_DECODER.decode(_shallow(text)))
    except RecursionError:  # the caller's own stack may be almost used up
        raise ValueError("it is nested too deeply") from None


def _shallow(text: str) -> str:
    """Replace what is nested deeper than DEEPEST by a string that holds its JSON."""
    if not DEEPEST < text.count("[") + text.count("{") <= MOST_BRACKETS:
        return text
    kept, end = [], 0
    for start, stop in _deep_parts(text):
        kept += [text[end:start], json.dumps(text[start:stop])]
        end = stop
    return "".join([*kept, text[end:]])


def _deep_parts(text: str) -> Iterator[tuple[int, int]]:
    """Yield start and end of each value that is nested deeper than DEEPEST."""
    depth, start = 0, 0
    for token in _TOKENS.finditer(text):
        match token[0]:
            case "[" | "{":
                depth += 1
                if depth == DEEPEST + 1:
                    start = token.start()
            case "]" | "}":
                if depth == DEEPEST + 1:
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
    """Check for a number that overflowed; each answer is searched, so the usual types come first."""
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
    return int(digits) if len(digits) <= LONGEST_INTEGER else digits


def _number(digits: str) -> float | str:
    number = float(digits)
    return number if isfinite(number) else digits


_DECODER = json.JSONDecoder(strict=False, parse_int=_integer, parse_float=_number, parse_constant=str)
