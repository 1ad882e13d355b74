"""Eval rows from a file: each with an input and an expected answer, all of one shape, none twice."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pareta_batch import MAX_PROBLEMS_SHOWN, Dataset, DatasetError, Row, digest, plain

EvalRow = dict[str, Any]  # what the service takes: any JSON value

EXPECTED = ("expected", "expected_output")


@dataclass(frozen=True)
class EvalRows:
    """The rows as they are sent, and by its place each row's group and its value of the slice column, if told."""

    items: tuple[EvalRow, ...]
    groups: Mapping[int, str] | None = None
    slices: Mapping[int, str] | None = None


def read_eval_rows(path: str, group_column: str | None = None, slice_column: str | None = None) -> EvalRows:
    """Read eval rows and check them, before anything is paid for.

    Group column and slice column are not sent: they change nothing of what a model is asked. Raises DatasetError
    naming file and row, for a row without input or expected answer, of another shape than the first, or that stands
    there twice.
    """
    rows = [replace(row, values=_plain(row.values)) for row in Dataset.open(path).rows()]
    columns = {"group": group_column, "slice": slice_column}
    problems = [*_incomplete(rows, columns)] or [*_misshapen(rows), *_repeated(rows)]
    if problems:
        raise DatasetError(problems[:MAX_PROBLEMS_SHOWN], len(problems))
    own = {group_column, slice_column} - {*EXPECTED, "input"}
    items = tuple({name: value for name, value in row.values.items() if name not in own} for row in rows)
    return EvalRows(items, _by_place(rows, group_column), _by_place(rows, slice_column))


def expected_of(row: EvalRow) -> object:
    """Give the answer that a row expects."""
    return next((row[name] for name in EXPECTED if row.get(name) is not None), None)


def _plain(values: Mapping[str, object]) -> EvalRow:
    return {name: plain(value) for name, value in values.items()}


def _by_place(rows: Sequence[Row], column: str | None) -> Mapping[int, str] | None:
    return {row.position: str(row.values[column]) for row in rows} if column else None


def _incomplete(rows: Sequence[Row], columns: Mapping[str, str | None]) -> Iterator[str]:
    for row in rows:
        values = row.values
        if values.get("input") is None:
            yield f"{row.place}: no value for 'input'; it has: {', '.join(values)}"
        if all(values.get(name) is None for name in EXPECTED):
            yield f"{row.place}: no value for 'expected'; it has: {', '.join(values)}"
        for use, column in columns.items():
            if column is not None and values.get(column) is None:
                yield f"{row.place}: no value for the {use} column {column!r}; it has: {', '.join(values)}"


def _misshapen(rows: Sequence[Row]) -> Iterator[str]:
    """Find the rows that are not of the first one's shape: they would be asked, or scored, in another way."""
    first = {name: _shape(value) for name, value in _told(rows[0]).items()}
    for row in rows[1:]:
        told = _told(row)
        for name in first.keys() | told.keys():
            had, has = first.get(name, "not there"), _shape(told[name]) if name in told else "not there"
            if had != has:
                yield f"{row.place}: {name!r} is {has}, in the first row it is {had}"


def _told(row: Row) -> dict[str, object]:
    return {name: row.values[name] for name in ("input", *EXPECTED) if row.values.get(name) is not None}


def _shape(value: object) -> str:
    match value:
        case dict():
            # Fields of the expected answer may be missing; those of the input fill the same prompt in every row.
            return "an object"
        case str():
            return "text"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case _:
            return "a list"


def _repeated(rows: Sequence[Row]) -> Iterator[str]:
    """Find the rows that ask what an earlier one asks: they would be paid twice and count twice."""
    places: dict[str, str] = {}
    for row in rows:
        asked = digest(row.values["input"])
        if asked in places:
            yield f"{row.place}: the same input as {places[asked]}"
        places.setdefault(asked, row.place)
