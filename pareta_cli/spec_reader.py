"""Bounded YAML and JSON reader for spec files: plain values, JSON types, limited depth and size.

Plain scalars have the types of JSON: `2026-11-01`, `no`, `12:30` and `017` are not dates, booleans or other numbers.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import yaml
from yaml.events import (
    AliasEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
)

from pareta_cli.spec_scalars import Scalar, SpecSyntaxError, check_tag, line_of, scalar_value, shown, text_of

Value: TypeAlias = "Scalar | list[Value] | dict[str, Value]"

MAX_DEPTH = 40
"""Levels of nesting. Raising it brings deep specs closer to Python's recursion limit of 1000 frames."""
MAX_VALUES = 20_000
"""Values in a spec, aliased values counted at each use. Raising it allows a longer read."""
MERGE = "<<"


def read_value(text: str, *, all_text: bool = False) -> Value:
    """Return the value of one YAML or JSON document. Raises SpecSyntaxError.

    Args:
        all_text: Read every scalar as text, so that `007` stays `007`.
    """
    try:
        events = yaml.parse(_without_tabs(text), Loader=yaml.SafeLoader)
        return _Reader(events, text_of if all_text else scalar_value).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise SpecSyntaxError(_one_line(error), mark.line + 1 if mark else 0) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise SpecSyntaxError(f"character {shown(chr(error.character))} is not allowed", line) from None
    except (yaml.YAMLError, ValueError, ArithmeticError) as error:
        # An escape such as "\UFFFFFFFF" raises one of Python's own errors.
        if isinstance(error, SpecSyntaxError):
            raise
        raise SpecSyntaxError(f"invalid escape or tag: {error}") from None


@dataclass
class _Anchored:
    """Value of an anchor and its number of values; None while it is being read."""

    value: Value = None
    size: int | None = None


class _Reader:
    """Builder of values from parse events, which counts depth and values."""

    def __init__(self, events: Iterator[Event], read_scalar: Callable[[ScalarEvent], Scalar]) -> None:
        self._events = events
        self._read_scalar = read_scalar
        self._anchors: dict[str, _Anchored] = {}
        self._values = 0

    def document(self) -> Value:
        """Return the value of the only document; None for an empty text."""
        starts = (event for event in self._events if isinstance(event, DocumentStartEvent))
        if next(starts, None) is None:
            return None
        value = self._value(next(self._events), 0)
        if (second := next(starts, None)) is not None:
            raise SpecSyntaxError("a second document begins here ('---'); a spec is one document", line_of(second))
        return value

    def _value(self, event: Event, depth: int) -> Value:
        assert isinstance(event, NodeEvent)
        if isinstance(event, AliasEvent):
            return self._aliased(event)
        before, anchored = self._values, _Anchored()
        self._count(1, event)
        if event.anchor:
            self._anchors[event.anchor] = anchored
        anchored.value = self._built(event, depth)
        anchored.size = self._values - before
        return anchored.value

    def _built(self, event: NodeEvent, depth: int) -> Value:
        if isinstance(event, ScalarEvent):
            return self._read_scalar(event)
        assert isinstance(event, CollectionStartEvent)
        check_tag(event)
        if depth >= MAX_DEPTH:
            raise SpecSyntaxError(f"nested more than {MAX_DEPTH} levels deep", line_of(event))
        return self._mapping(depth + 1) if isinstance(event, MappingStartEvent) else self._sequence(depth + 1)

    def _sequence(self, depth: int) -> Value:
        values: list[Value] = []
        while not isinstance(event := next(self._events), SequenceEndEvent):
            values.append(self._value(event, depth))
        return values

    def _mapping(self, depth: int) -> Value:
        own: dict[str, Value] = {}
        lines: dict[str, int] = {}
        merged: dict[str, Value] = {}
        while isinstance(event := next(self._events), NodeEvent):
            key, line = _key(event), line_of(event)
            if key in lines:
                raise SpecSyntaxError(f"duplicate field {shown(key)}, on lines {lines[key]} and {line}", line)
            lines[key] = line
            self._count(1, event)
            value = self._value(next(self._events), depth)
            if key == MERGE and isinstance(event, ScalarEvent) and event.implicit[0]:
                merged = _merged(value, line)
            else:
                own[key] = value
        return {**merged, **own}

    def _aliased(self, event: AliasEvent) -> Value:
        found = self._anchors.get(event.anchor or "")
        if found is None:
            raise SpecSyntaxError(f"alias *{event.anchor} has no anchor before it", line_of(event))
        if found.size is None:
            raise SpecSyntaxError(f"alias *{event.anchor} refers to itself", line_of(event))
        self._count(found.size, event)
        return _copied(found.value)

    def _count(self, values: int, event: Event) -> None:
        self._values += values
        if self._values > MAX_VALUES:
            raise SpecSyntaxError(f"more than {MAX_VALUES} values, aliases counted at each use", line_of(event))


def _key(event: NodeEvent) -> str:
    if not isinstance(event, ScalarEvent):
        raise SpecSyntaxError("a field's name is plain text, not a list, a mapping or an alias", line_of(event))
    check_tag(event)
    # The literal text: `on:` and `1:` are names too.
    return text_of(event)


def _merged(value: Value, line: int) -> dict[str, Value]:
    sources = value if isinstance(value, list) else [value]
    merged: dict[str, Value] = {}
    for source in reversed(sources):
        if not isinstance(source, dict):
            raise SpecSyntaxError("'<<' takes a mapping, or a list of them", line)
        merged |= source
    return merged


def _copied(value: Value) -> Value:
    """Return a copy: an override of one place must not change the others."""
    match value:
        case list():
            return [_copied(each) for each in value]
        case dict():
            return {key: _copied(each) for key, each in value.items()}
        case _:
            return value


def _without_tabs(text: str) -> str:
    """Return JSON with its indenting tabs as spaces, which YAML requires; no string of valid JSON holds a tab."""
    if "\t" not in text or not text.lstrip("\ufeff \t\r\n").startswith(("{", "[")):
        return text
    try:
        json.loads(text.lstrip("\ufeff"))
    except (ValueError, RecursionError):
        return text
    return text.replace("\t", " ")


def _one_line(error: yaml.MarkedYAMLError) -> str:
    message = ", ".join(part for part in (error.context, error.problem) if part)
    return " ".join(message.split())[:300]
