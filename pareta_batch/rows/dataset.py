"""Datasets as streams of rows: CSV, JSON Lines and Parquet, read in chunks."""

import csv
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet

from pareta_batch.answers import JsonColumn
from pareta_batch.errors import DatasetError
from pareta_batch.rows.parquet import fraction_digits, parquet_rows
from pareta_batch.rows.values import MAX_NESTING, nesting

if TYPE_CHECKING:
    from _csv import Reader

CHUNK_ROWS = 1_000

MAX_COLUMN_NAME_CHARS = 1_000
"""Upper bound of the characters of a column name; a longer one is text in place of the header."""


@dataclass(frozen=True)
class Row:
    """One input row: its 0-based `position`, its place in the file (`rows.csv line 7`), and its values."""

    position: int
    place: str
    values: Mapping[str, object]


@dataclass(frozen=True)
class Dataset:
    """A readable dataset file and its columns, in order."""

    path: Path
    columns: tuple[str, ...]

    @classmethod
    def open(cls, path: str | Path) -> "Dataset":
        """Open a file and read its columns.

        Raises DatasetError if it cannot be read, has no rows, or has an unsupported format.
        """
        path = Path(path)
        if path.suffix not in _READERS:
            raise DatasetError([f"{path}: unsupported format; use {', '.join(_READERS)}"])
        if not _is_file(path):
            raise DatasetError([f"{path}: there is no such file"])
        first = next(cls(path, ()).rows(), None)
        if first is None:
            raise DatasetError([f"{path} has no rows"])
        return cls(path, tuple(first.values))

    def rows(self) -> Iterator[Row]:
        """Yield the rows in order; raises DatasetError, with line or row, for the first unreadable one."""
        try:
            yield from _READERS[self.path.suffix](self.path)
        except UnicodeDecodeError as error:
            raise DatasetError([f"{self.path} line {_undecodable_line(self.path)}: not UTF-8"]) from error
        except (OSError, pyarrow.ArrowException) as error:
            raise DatasetError([f"{self.path}: {error}"]) from error


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError as error:  # a name that is too long, for one
        raise DatasetError([f"{path}: {error.strerror}"]) from None


def _undecodable_line(path: Path) -> int:
    # Text is decoded in blocks: the reader's line number is too low.
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return number
    raise AssertionError("called for a file that does not decode")


def _read_csv(path: Path) -> Iterator[Row]:
    csv.field_size_limit(sys.maxsize)  # documents are longer than the default of 128 KiB
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        try:
            header = next(reader, [])
            _check_columns(f"{path} line 1", header)
            for position, (begins, fields) in enumerate(_records(reader)):
                place = f"{path} line {begins}"
                if len(fields) != len(header):
                    raise DatasetError([f"{place}: {len(fields)} fields, the header has {len(header)}"])
                # CSV cannot tell an empty text from no value: it is taken for no value.
                yield Row(position, place, {name: field or None for name, field in zip(header, fields, strict=True)})
        except csv.Error as error:
            raise DatasetError([f"{path} line {reader.line_num}: {error}"]) from error


def _records(reader: "Reader") -> Iterator[tuple[int, list[str]]]:
    """Yield each record that is not blank, with its first line; a quoted field may span lines."""
    begins = reader.line_num + 1
    for fields in reader:
        if fields:
            yield begins, fields
        begins = reader.line_num + 1


def _check_columns(place: str, columns: Sequence[str]) -> None:
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise DatasetError([f"{place}: duplicate column {', '.join(map(repr, twice))}; rename one"])
    for name in columns:
        if "\0" in name:
            raise DatasetError([f"{place}: column name {name[:60]!r} contains NUL; rename the column"])
        if len(name) > MAX_COLUMN_NAME_CHARS:
            raise DatasetError([f"{place}: column name {name[:60]!r}… has {len(name)} characters; rename the column"])


def _read_jsonl(path: Path) -> Iterator[Row]:
    position = 0
    known: set[str] = set()
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            place = f"{path} line {number}"
            values = _json_object(line, place, "utf-8-sig" if number == 1 else "utf-8")
            if not values.keys() <= known:
                _check_columns(place, list(values))
                known.update(values)
            yield Row(position, place, values)
            position += 1


def _json_object(line: bytes, place: str, encoding: str) -> dict[str, object]:
    try:
        values = json.loads(line.decode(encoding))
    except RecursionError:
        raise DatasetError([_too_deep(place)]) from None
    except ValueError as error:
        raise DatasetError([f"{place}: not JSON: {error}"]) from error
    if not isinstance(values, dict):
        raise DatasetError([f"{place}: not a JSON object: {line[:60]!r}"])
    # A cheap upper bound first: brackets in texts count too.
    if line.count(b"[") + line.count(b"{") > MAX_NESTING and nesting(values) > MAX_NESTING:
        raise DatasetError([_too_deep(place)])
    if (column := _with_lone_surrogate(line, values)) is not None:
        problem = "invalid Unicode: unpaired surrogate (\\ud800 to \\udfff); fix the dataset"
        raise DatasetError([f"{place}, column {column!r}: {problem}"])
    return values


def _too_deep(place: str) -> str:
    return f"{place}: nested deeper than {MAX_NESTING} brackets; store the value as text"


def _with_lone_surrogate(line: bytes, values: Mapping[str, object]) -> str | None:
    # Only an escape can contain an unpaired surrogate; it could be neither sent nor written.
    if b"\\u" not in line:
        return None
    for name, value in values.items():
        try:
            json.dumps([name, value], ensure_ascii=False).encode()
        except UnicodeEncodeError:
            return name
    return None


def _read_parquet(path: Path) -> Iterator[Row]:
    with pyarrow.parquet.ParquetFile(path) as file:
        _check_columns(str(path), file.schema_arrow.names)
        for position, values in enumerate(parquet_rows(file, str(path), CHUNK_ROWS)):
            yield Row(position, f"{path} row {position + 1}", values)


_READERS = {".csv": _read_csv, ".jsonl": _read_jsonl, ".parquet": _read_parquet}


def schema(dataset: Dataset) -> pyarrow.Schema:
    """Return the column types: those of Parquet, text for CSV, and for JSON Lines a type that fits every value.

    A JSON column of nested values, of mixed types, or of numbers over 64 bits is text (their JSON). Integers mixed
    with floats become floats if each integer is exact as a float. A JSON Lines file is read once.
    """
    if dataset.path.suffix == ".parquet":
        return pyarrow.parquet.read_schema(dataset.path)
    if dataset.path.suffix == ".csv":
        return pyarrow.schema([(name, pyarrow.string()) for name in dataset.columns])
    columns: dict[str, JsonColumn] = {}
    for row in dataset.rows():
        for name, value in row.values.items():
            columns.setdefault(name, JsonColumn()).see(value)
    return pyarrow.schema([(name, column.type()) for name, column in columns.items()])


def check_column(path: str, column: str, named_as: str) -> None:
    """Check that a dataset has a column; raises DatasetError."""
    columns = schema(Dataset.open(path)).names
    if column not in columns:
        raise DatasetError([f"{path} has no column {column!r} ({named_as}); it has: {', '.join(columns)}"])


def decimals_of(dataset: Dataset) -> Mapping[str, int]:
    """Return the decimals of a second that each timestamp column of a Parquet file needs; empty for other formats."""
    if dataset.path.suffix != ".parquet":
        return {}
    with pyarrow.parquet.ParquetFile(dataset.path) as file:
        return fraction_digits(file)
