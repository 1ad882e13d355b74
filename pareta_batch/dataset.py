"""Datasets as streams of rows: CSV, JSON lines and Parquet, read once, never held whole."""

import csv
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet

from pareta_batch.errors import DatasetError

if TYPE_CHECKING:
    from _csv import Reader

CHUNK_ROWS = 1_000


@dataclass(frozen=True)
class Row:
    """One input row: its 0-based `position`, where a person finds it (`rows.csv line 7`), and its values."""

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
        """Look at a file's head.

        Raises DatasetError when it cannot be read, has no rows, or is of another format.
        """
        path = Path(path)
        if path.suffix not in _READERS:
            raise DatasetError([f"{path} is not a dataset we read: use {', '.join(_READERS)}"])
        if not path.is_file():
            raise DatasetError([f"{path}: there is no such file"])
        first = next(cls(path, ()).rows(), None)
        if first is None:
            raise DatasetError([f"{path} has no rows"])
        return cls(path, tuple(first.values))

    def rows(self) -> Iterator[Row]:
        """Read the rows in order.

        Raises DatasetError, naming the line or row, at the first that cannot be read.
        """
        try:
            yield from _READERS[self.path.suffix](self.path)
        except UnicodeDecodeError as error:
            raise DatasetError([f"{self.path} line {_undecodable_line(self.path)}: not UTF-8"]) from error
        except (OSError, pyarrow.ArrowException) as error:
            raise DatasetError([f"{self.path}: {error}"]) from error


def _undecodable_line(path: Path) -> int:
    # Text is decoded in blocks, so the reader's own line number is too early.
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
    """Give each record that is not blank with the line it begins on; a quoted field may span lines."""
    begins = reader.line_num + 1
    for fields in reader:
        if fields:
            yield begins, fields
        begins = reader.line_num + 1


def _check_columns(place: str, columns: Sequence[str]) -> None:
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise DatasetError([f"{place}: column {', '.join(map(repr, twice))} stands there twice"])


def _read_jsonl(path: Path) -> Iterator[Row]:
    position = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            place = f"{path} line {number}"
            try:
                values = json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
            except ValueError as error:
                raise DatasetError([f"{place}: not JSON: {error}"]) from error
            if not isinstance(values, dict):
                raise DatasetError([f"{place}: not a JSON object: {line[:60]!r}"])
            if _has_lone_surrogate(line, values):
                raise DatasetError([f"{place}: has half of a surrogate pair (\\ud800 to \\udfff), which is no text"])
            yield Row(position, place, values)
            position += 1


def _has_lone_surrogate(line: bytes, values: object) -> bool:
    # Only an escape can smuggle one in; it could neither be sent nor written.
    if b"\\u" not in line:
        return False
    try:
        json.dumps(values, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


def _read_parquet(path: Path) -> Iterator[Row]:
    position = 0
    with pyarrow.parquet.ParquetFile(path) as file:
        _check_columns(str(path), file.schema_arrow.names)
        for chunk in file.iter_batches(batch_size=CHUNK_ROWS):
            for values in chunk.to_pylist():
                yield Row(position, f"{path} row {position + 1}", values)
                position += 1


_READERS = {".csv": _read_csv, ".jsonl": _read_jsonl, ".parquet": _read_parquet}


def schema(dataset: Dataset) -> pyarrow.Schema:
    """Give the columns' types: Parquet's own, text for CSV, and for JSON lines what fits every value.

    A JSON column whose values are nested or of several kinds is text (their JSON). Reads JSON lines once.
    """
    if dataset.path.suffix == ".parquet":
        return pyarrow.parquet.read_schema(dataset.path)
    if dataset.path.suffix == ".csv":
        return pyarrow.schema([(name, pyarrow.string()) for name in dataset.columns])
    kinds: dict[str, set[type]] = {}
    for row in dataset.rows():
        for name, value in row.values.items():
            kinds.setdefault(name, set()).add(type(value))
    return pyarrow.schema([(name, _type_for(seen - {type(None)})) for name, seen in kinds.items()])


def _type_for(kinds: set[type]) -> pyarrow.DataType:
    if kinds == {bool}:
        return pyarrow.bool_()
    if kinds == {int}:
        return pyarrow.int64()
    if kinds <= {int, float} and kinds:
        return pyarrow.float64()
    return pyarrow.string()
