"""Readers of one file of a dataset, by its format."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import pyarrow
import pyarrow.parquet

from pareta_batch.errors import DatasetError
from pareta_batch.rows.columns import Record, check_columns
from pareta_batch.rows.delimited import delimited_rows
from pareta_batch.rows.encodings import open_text, undecodable
from pareta_batch.rows.frames import Table
from pareta_batch.rows.json_rows import json_array_rows, json_lines_rows
from pareta_batch.rows.parquet import arrow_rows
from pareta_batch.rows.source import FORMATS, FileFormat, Source, format_of
from pareta_batch.rows.storage import BUFFER_BYTES, StoredFile, readable

CHUNK_ROWS = 1_000
"""Rows that are decoded at once. Raising it holds more rows in memory."""

_SIGNS: dict[bytes, FileFormat] = {b"PAR1": "parquet", b"PK\x03\x04": "xlsx", b"{": "jsonl", b"[": "json"}


def file_format(file: StoredFile, source: Source) -> FileFormat:
    """Return the format of a file: that of the source, or of its suffix; of standard input, from its first bytes.

    Raises DatasetError for an unknown suffix, and for an option that does not apply to the format.
    """
    kind = source.format or (_format_of_input(file) if file.store is None else format_of(file.path))
    if kind is None:
        formats = ", ".join(f".{each}" for each in FORMATS)
        raise DatasetError([f"{file.name}: unsupported format; use {formats}, or set format"])
    try:
        source.check_options(kind)
    except ValueError as error:
        raise DatasetError([f"{file.name}: {error}"]) from None
    return kind


def records(file: StoredFile, kind: FileFormat, source: Source) -> Iterator[Record]:
    """Yield the rows of a file; raises DatasetError, with line or row, for the first unreadable one."""
    with readable(file.name):
        try:
            yield from _records(file, kind, source)
        except UnicodeDecodeError as error:
            with file.open_stream() as stream:
                raise DatasetError([f"{file.name}{undecodable(stream, source.encoding)}"]) from error


def table_records(table: Table) -> Iterator[Record]:
    """Yield the rows of a table in memory; raises DatasetError for an unreadable value."""
    schema, batches = table.content.schema, table.content.to_batches(max_chunksize=CHUNK_ROWS)
    check_columns("table", schema.names)
    for number, values in enumerate(arrow_rows(schema, batches, "table"), start=1):
        yield f"table row {number}", values


@contextmanager
def open_parquet(file: StoredFile) -> Iterator[pyarrow.parquet.ParquetFile]:
    """Open a Parquet file; from an object store, columns are read in buffers, not in pages."""
    with (
        readable(file.name),
        file.open_file() as stream,
        pyarrow.parquet.ParquetFile(stream, buffer_size=0 if file.is_local else BUFFER_BYTES) as parquet,
    ):
        yield parquet


def _records(file: StoredFile, kind: FileFormat, source: Source) -> Iterator[Record]:
    match kind:
        case "csv" | "tsv":
            with file.open_stream() as stream, open_text(stream, source.encoding, newline="") as text:
                yield from delimited_rows(text, file.name, source, source.delimiter_of(kind))
        case "jsonl" | "json" | "openai_batch":
            read = json_array_rows if kind == "json" else json_lines_rows
            with file.open_stream() as stream, open_text(stream, source.encoding, newline="\n") as text:
                yield from read(text, file.name)
        case "xlsx":
            from pareta_batch.rows.workbook import workbook_rows  # openpyxl takes 0.2 s to import

            # One read of an object store for many small ones of the workbook.
            with file.open_file() as raw, io.BufferedReader(cast(io.RawIOBase, raw), BUFFER_BYTES) as stream:
                yield from workbook_rows(stream, file.name, source.sheet)
        case "parquet":
            yield from _parquet_records(file)


def _parquet_records(file: StoredFile) -> Iterator[Record]:
    with open_parquet(file) as parquet:
        schema = parquet.schema_arrow
        check_columns(file.name, schema.names)
        rows = arrow_rows(schema, parquet.iter_batches(batch_size=CHUNK_ROWS), file.name)
        for number, values in enumerate(rows, start=1):
            yield f"{file.name} row {number}", values


def _format_of_input(file: StoredFile) -> FileFormat:
    with file.open_stream() as stream:
        begin = stream.read(1024).removeprefix(b"\xef\xbb\xbf").lstrip()
    return next((kind for sign, kind in _SIGNS.items() if begin.startswith(sign)), "csv")
