"""Scalars of a spec file, with the types of JSON: YAML 1.1 dates, `no` and `12:30` are text."""

import re
from typing import TypeAlias

from yaml.events import CollectionStartEvent, Event, MappingStartEvent, ScalarEvent

Scalar: TypeAlias = str | int | float | bool | None

MAX_DIGITS = 40
"""Characters of a number. Raising it allows numbers that no JSON reader keeps."""
MAX_SHOWN_CHARS = 60
"""Characters of a name or value shown in a message. Raising it makes messages longer."""

TAGS = "tag:yaml.org,2002:"
PLAIN_KINDS = {"str", "int", "float", "bool", "null", "map", "seq"}

NULL = re.compile(r"~|null|Null|NULL|")
BOOL = re.compile(r"true|True|TRUE|false|False|FALSE")
INT = re.compile(r"[-+]?[0-9]+")
OTHER_INT = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
NO_NUMBER = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_PYTHON: dict[str, set[type]] = {"int": {int}, "float": {int, float}, "bool": {bool}, "null": {type(None)}}
SURROGATES = re.compile("[\ud800-\udfff]")


class SpecSyntaxError(ValueError):
    """Invalid text of a spec; `line` is 1-based, 0 if unknown."""

    def __init__(self, problem: str, line: int = 0) -> None:
        self.problem = problem
        self.line = line
        super().__init__(problem, line)


def shown(text: str) -> str:
    """Return a name or value for a message: quoted, on one line, shortened."""
    short = text if len(text) <= MAX_SHOWN_CHARS else f"{text[:MAX_SHOWN_CHARS]}…"
    return ascii(short) if SURROGATES.search(short) else repr(short)


def scalar_value(event: ScalarEvent) -> Scalar:
    """Return the value of a scalar. Raises SpecSyntaxError."""
    text = text_of(event)
    kind = check_tag(event)
    plain = event.implicit[0] and event.tag is None
    if kind == "str" or (not plain and kind is None):
        return text
    value = _plain(event, text)
    if kind is not None and type(value) not in _PYTHON[kind]:
        raise SpecSyntaxError(f"{shown(text)} is not of the type of its tag '!!{kind}'", line_of(event))
    return value


def _plain(event: ScalarEvent, text: str) -> Scalar:
    """Return the value of an unquoted scalar, by the rules of the YAML 1.2 JSON schema."""
    if NULL.fullmatch(text):
        return None
    if BOOL.fullmatch(text):
        return text.lower() == "true"
    if NO_NUMBER.fullmatch(text):
        raise SpecSyntaxError(f"{text} is not a finite number", line_of(event))
    digits = INT.fullmatch(text) or OTHER_INT.fullmatch(text) or FLOAT.fullmatch(text)
    if digits is None:
        return text
    if len(text) > MAX_DIGITS:
        raise SpecSyntaxError(f"number of {len(text)} characters; the maximum is {MAX_DIGITS}", line_of(event))
    return _number(text, event)


def _number(text: str, event: ScalarEvent) -> int | float:
    if OTHER_INT.fullmatch(text):
        return int(text, 0)
    if INT.fullmatch(text):
        return int(text)
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise SpecSyntaxError(f"{text} is not a finite number", line_of(event))
    return value


def text_of(event: ScalarEvent) -> str:
    """Return a scalar's text, with surrogate pairs of JSON escapes combined."""
    text: str = event.value
    if "\0" in text:
        raise SpecSyntaxError("the character NUL (\\0) is not allowed", line_of(event))
    if not SURROGATES.search(text):
        return text
    try:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        raise SpecSyntaxError(f"unpaired surrogate in {shown(text)}", line_of(event)) from None


def check_tag(event: ScalarEvent | CollectionStartEvent) -> str | None:
    """Return the kind that a tag names, None without a tag."""
    tag = event.tag
    if tag is None or tag == "!":
        return None
    kind = tag.removeprefix(TAGS)
    if kind == tag or kind not in PLAIN_KINDS:
        name = f"!!{kind}" if kind != tag else tag
        raise SpecSyntaxError(f"tag {shown(name)} is not allowed; a spec holds plain values", line_of(event))
    if (kind if kind in ("map", "seq") else "scalar") != _shape(event):
        raise SpecSyntaxError(f"tag '!!{kind}' does not fit its value", line_of(event))
    return kind


def _shape(event: ScalarEvent | CollectionStartEvent) -> str:
    if isinstance(event, ScalarEvent):
        return "scalar"
    return "map" if isinstance(event, MappingStartEvent) else "seq"


def line_of(event: Event) -> int:
    """Return the line where an event begins, from 1."""
    return event.start_mark.line + 1 if event.start_mark else 0
