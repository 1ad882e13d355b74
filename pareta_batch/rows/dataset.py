"""Datasets as streams of rows: files of one format, or a table in memory, read in chunks."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow
from pyarrow import fs

from pareta_batch.errors import DatasetError
from pareta_batch.rows.address import STANDARD_INPUT, Address
from pareta_batch.rows.columns import Record
from pareta_batch.rows.frames import Table
from pareta_batch.rows.json_types import JsonColumn
from pareta_batch.rows.parquet import fraction_digits, merged_schema, timestamps
from pareta_batch.rows.readers import file_format, open_parquet, records, table_records
from pareta_batch.rows.source import AnyDataset, FileFormat, Source
from pareta_batch.rows.storage import StoredFile, files_of, readable

WITH_HEADER = frozenset({"csv", "tsv", "xlsx", "parquet"})
"""Formats whose rows all have the same columns."""

AS_TEXT = frozenset({"csv", "tsv"})

_WHOLE = re.compile(r"0|-?[1-9]\d{0,17}")


@dataclass(frozen=True)
class Row:
    """One input row: its 0-based `position`, its place in the file (`rows.csv line 7`), and its values."""

    position: int
    place: str
    values: Mapping[str, object]


@dataclass(frozen=True)
class Files:
    """The files of a dataset, all in one format; `numbers` are the partition keys with whole numbers only."""

    source: Source
    format: FileFormat
    files: tuple[StoredFile, ...]
    numbers: frozenset[str]

    def records(self) -> Iterator[Record]:
        """Yield the rows of all files in order, each with the values of its partitions."""
        first: Sequence[str] | None = None
        for file in self.files:
            partitions = self.partitions(file)
            for index, (place, values) in enumerate(records(file, self.format, self.source)):
                # A column of the file has priority over a folder of the same name.
                row = {**values, **{key: each for key, each in partitions.items() if key not in values}}
                if index == 0 and self.format in WITH_HEADER:
                    first = first or [*row]
                    _check_same_columns(file, first, [*row], self.files[0])
                yield place, row

    def partitions(self, file: StoredFile) -> Mapping[str, object]:
        """Return the values of a file's partitions: whole numbers or text."""
        return {
            key: int(value) if value is not None and key in self.numbers else value
            for key, value in file.partitions.items()
        }


@dataclass(frozen=True)
class Dataset:
    """A readable dataset and its columns, in order; `path` is its name in messages."""

    path: str
    columns: tuple[str, ...]
    content: Files | Table

    @classmethod
    def open(cls, dataset: AnyDataset | Path) -> "Dataset":
        """Open a dataset and read its columns; a `Path` is a file of this machine, never a glob or a URL.

        Raises DatasetError if it cannot be read, has no rows, or has an unsupported format.
        """
        content = dataset if isinstance(dataset, Table) else _files(dataset)
        name = (
            "table"
            if isinstance(dataset, Table)
            else {STANDARD_INPUT: "standard input"}.get(str(dataset), str(dataset))
        )
        first = next(cls(name, (), content).rows(), None)
        if first is None:
            raise DatasetError([f"{name} has no rows"])
        return cls(name, tuple(first.values), content)

    def rows(self) -> Iterator[Row]:
        """Yield the rows in order; raises DatasetError, with line or row, for the first unreadable one."""
        found = table_records(self.content) if isinstance(self.content, Table) else self.content.records()
        for position, (place, values) in enumerate(found):
            yield Row(position, place, values)


def _files(dataset: str | Path | Source) -> Files:
    source = dataset if isinstance(dataset, Source) else Source.model_construct(path=str(dataset))
    files = _local_file(dataset) if isinstance(dataset, Path) else files_of(_address(source.path))
    kinds = {kind: file for file in reversed(files) if (kind := file_format(file, source))}
    if len(kinds) > 1:
        named = " and ".join(file.name for file in list(kinds.values())[:2])
        raise DatasetError([f"{source.path}: files of different formats ({named}); use a glob, such as *.csv"])
    kind = next(iter(kinds))
    keys = {key for file in files for key in file.partitions}
    numbers = {key for key in keys if kind not in AS_TEXT and all(_is_whole(file.partitions, key) for file in files)}
    return Files(source, kind, files, frozenset(numbers))


def _address(path: str) -> Address:
    try:
        return Address.parse(path)
    except ValueError as error:
        raise DatasetError([f"dataset: {error}"]) from None


def _local_file(path: Path) -> tuple[StoredFile, ...]:
    with readable(str(path)):
        if not path.is_file():
            raise DatasetError([f"{path}: there is no such file"])
    return (StoredFile(str(path), str(path), fs.LocalFileSystem()),)


def _is_whole(partitions: Mapping[str, str | None], key: str) -> bool:
    value = partitions.get(key)
    return value is None or _WHOLE.fullmatch(value) is not None


def _check_same_columns(file: StoredFile, first: Sequence[str], columns: Sequence[str], first_file: StoredFile) -> None:
    for name in (*first, *columns):
        if name not in columns or name not in first:
            has, lacks = (first_file, file) if name in first else (file, first_file)
            problem = f"{lacks.name} has no column {name!r}, which {has.name} has"
            raise DatasetError([f"{problem}; all files of a dataset need the same columns"])


def schema(dataset: Dataset) -> pyarrow.Schema:
    """Return the column types: those of Parquet, text for CSV, and for JSON and workbooks a type that fits every value.

    A JSON column of nested values, of mixed types, or of numbers over 64 bits is text (their JSON). Integers mixed
    with floats become floats if each integer is exact as a float. JSON and workbooks are read once.
    """
    content = dataset.content
    if isinstance(content, Table):
        return content.content.schema
    if content.format == "parquet":
        return _parquet_schema(content)
    if content.format in AS_TEXT:
        return pyarrow.schema([(name, pyarrow.string()) for name in dataset.columns])
    columns: dict[str, JsonColumn] = {}
    for row in dataset.rows():
        for name, value in row.values.items():
            columns.setdefault(name, JsonColumn()).see(value)
    return pyarrow.schema([(name, column.type()) for name, column in columns.items()])


def _parquet_schema(content: Files) -> pyarrow.Schema:
    found = []
    for file in content.files:
        with open_parquet(file) as parquet:
            found.append(parquet.schema_arrow)
    columns = merged_schema(found)
    for key in content.files[0].partitions:
        if key not in columns.names:
            columns = columns.append(
                pyarrow.field(key, pyarrow.int64() if key in content.numbers else pyarrow.string())
            )
    return columns


def check_column(dataset: AnyDataset, column: str, named_as: str) -> None:
    """Check that a dataset has a column; raises DatasetError."""
    opened = Dataset.open(dataset)
    columns = schema(opened).names
    if column not in columns:
        raise DatasetError([f"{opened.path} has no column {column!r} ({named_as}); it has: {', '.join(columns)}"])


def decimals_of(dataset: Dataset) -> Mapping[str, int]:
    """Return the decimals of a second that each timestamp column of Arrow data needs; empty for other formats."""
    content, digits = dataset.content, dict[str, int]()
    if isinstance(content, Table):
        return fraction_digits(content.content.schema, content.content.to_batches())
    for file in content.files if content.format == "parquet" else ():
        with open_parquet(file) as parquet:
            names = [field.name for field in timestamps(parquet.schema_arrow)]
            found = fraction_digits(parquet.schema_arrow, parquet.iter_batches(columns=names))
        for name, number in found.items():
            digits[name] = max(number, digits.get(name, 0))
    return digits
