"""Eval rows from a file: each has an input and an expected answer, all have one shape, inputs are unique."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pareta_batch import (
    MAX_PROBLEMS_SHOWN,
    AnyDataset,
    Attacher,
    Dataset,
    DatasetError,
    Row,
    base_of,
    digest,
    plain,
    root_of,
)
from pareta_evals.documents import RowDocument, with_documents

EvalRow = dict[str, Any]  # what the service takes: any JSON value

EXPECTED = ("expected", "expected_output")


@dataclass(frozen=True)
class EvalRows:
    """The rows as they are sent; with each row's group and slice, by position, if such columns are named."""

    items: tuple[EvalRow, ...]
    groups: Mapping[int, str] | None = None
    slices: Mapping[int, str] | None = None
    documents: tuple[RowDocument, ...] = ()


def read_eval_rows(
    dataset: AnyDataset,
    group_column: str | None = None,
    slice_column: str | None = None,
    document_fields: Sequence[str] = (),
    files_folder: str | None = None,
) -> EvalRows:
    """Return the checked eval rows of a dataset, before anything is paid.

    A document field of an input is a path; the row is sent with the hash of the file instead.

    Group column and slice column are not sent. Raises DatasetError, with file and row, for a missing input or
    expected answer, another shape than the first row, or a duplicate input.
    """
    rows = [replace(row, values=_plain(row.values)) for row in Dataset.open(dataset).rows()]
    columns = {"group": group_column, "slice": slice_column}
    folder = root_of(files_folder) if files_folder else None
    rows, documents = with_documents(rows, document_fields, Attacher(folder or base_of(dataset), folder))
    problems = [*_incomplete(rows, columns)] or [*_misshapen(rows), *_repeated(rows)]
    if problems:
        raise DatasetError(problems[:MAX_PROBLEMS_SHOWN], len(problems))
    own = {group_column, slice_column} - {*EXPECTED, "input"}
    items = tuple({name: value for name, value in row.values.items() if name not in own} for row in rows)
    return EvalRows(items, _by_place(rows, group_column), _by_place(rows, slice_column), documents)


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
    """Yield a problem for each row with another shape than the first: its prompt or its scoring would differ."""
    first = {name: _shape(value) for name, value in _values(rows[0]).items()}
    for row in rows[1:]:
        values = _values(row)
        for name in first.keys() | values.keys():
            expected, found = first.get(name, "missing"), _shape(values[name]) if name in values else "missing"
            if expected != found:
                yield f"{row.place}: {name!r} is {found}, in the first row it is {expected}; use one shape in all rows"


def _values(row: Row) -> dict[str, object]:
    return {name: row.values[name] for name in ("input", *EXPECTED) if row.values.get(name) is not None}


def _shape(value: object) -> str:
    match value:
        case dict():
            # Fields of the expected answer may be missing; those of the input fill the same prompt in each row.
            return "an object"
        case str():
            return "text"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case _:
            return "a list"


def _repeated(rows: Sequence[Row]) -> Iterator[str]:
    """Yield a problem for each duplicate input: it would be paid and counted twice."""
    places: dict[str, str] = {}
    for row in rows:
        key = digest(row.values["input"])
        if key in places:
            yield f"{row.place}: duplicate input, the same input as {places[key]}; remove one row"
        places.setdefault(key, row.place)
