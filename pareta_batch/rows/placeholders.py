"""Placeholders of a template: a column name, or a path into its value such as `meta.tags[0]`."""

import re
from collections.abc import Container, Mapping

from pareta_batch.rows.values import is_missing

_STEP = re.compile(r"\.(?P<field>[^.\[\]]+)|\[(?P<index>-?\d+)\]")
_STEPS = re.compile(rf"(?:{_STEP.pattern.replace('?P<field>', '').replace('?P<index>', '')})+")


class MissingValue(ValueError):
    """A row without a value for a column, or a path, that a template names."""

    def __init__(self, column: str) -> None:
        self.column = column
        super().__init__(column)


def column_of(name: str, columns: Container[str]) -> str | None:
    """Return the column that a placeholder reads: `name` itself, else its longest beginning, else None."""
    if name in columns:
        return name
    ends = [place for place, sign in enumerate(name) if sign in ".["]
    heads = (name[:end] for end in reversed(ends) if _STEPS.fullmatch(name, end))
    return next((head for head in heads if head in columns), None)


def value_of(name: str, row: Mapping[str, object]) -> object:
    """Return the value of a placeholder in a row.

    Raises MissingValue without one, and ValueError for a step into a value that has no fields or items.
    """
    column = column_of(name, row)
    if column is None:
        raise MissingValue(name)
    value, place = row[column], column
    for step in _STEP.finditer(name, len(column)):
        if is_missing(value):
            raise MissingValue(name)
        value = _inner(value, step, place)
        place = name[: step.end()]
    if is_missing(value):
        raise MissingValue(name)
    return value


def _inner(value: object, step: re.Match[str], place: str) -> object:
    field, index = step["field"], step["index"]
    if field is not None and isinstance(value, Mapping):
        return value.get(field)
    if index is not None and isinstance(value, list | tuple):
        return value[int(index)] if -len(value) <= int(index) < len(value) else None
    kind = "an object" if isinstance(value, Mapping) else "a list" if isinstance(value, list | tuple) else "no object"
    raise ValueError(f"{place!r} is {kind}, so it has no {step[0]!r}; name another value in the template")
