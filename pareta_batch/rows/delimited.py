"""Rows of .csv and .tsv files, with a guess of the delimiter and the encoding for files that do not fit."""

import csv
import re
import sys
from collections.abc import Iterator, Sequence
from typing import IO, TYPE_CHECKING

from pareta_batch.errors import DatasetError
from pareta_batch.rows.columns import Record, check_columns
from pareta_batch.rows.source import Source

if TYPE_CHECKING:
    from _csv import Reader

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_COMMA_NUMBER = re.compile(r"[+-]?(?:\d{1,3}(?:\.\d{3})+|\d+),\d+(?:[eE][+-]?\d+)?")


def delimited_rows(text: IO[str], name: str, source: Source, delimiter: str) -> Iterator[Record]:
    """Yield the rows of a CSV or TSV file; an empty field is no value.

    Raises DatasetError with line, and UnicodeDecodeError.
    """
    csv.field_size_limit(sys.maxsize)  # documents are longer than the default of 128 KiB
    with_commas = source.decimal == ","
    reader = csv.reader(text, strict=True, delimiter=delimiter)
    try:
        header = next(reader, [])
        check_columns(f"{name} line 1", header)
        if len(header) == 1 and source.delimiter is None and (hint := delimiter_hint(header, delimiter)):
            raise DatasetError([f"{name} line 1: only one column, {header[0]!r:.60}; {hint}"])
        for begins, fields in _records(reader):
            place = f"{name} line {begins}"
            if len(fields) != len(header):
                hint = delimiter_hint(header, delimiter)
                problem = f"{place}: {len(fields)} fields, the header has {len(header)}"
                raise DatasetError([f"{problem}; {hint}" if hint else problem])
            if with_commas:
                fields = [*map(_with_point, fields)]
            # CSV does not distinguish an empty text from a missing value: it is a missing value.
            yield place, {name: field or None for name, field in zip(header, fields, strict=True)}
    except csv.Error as error:
        raise DatasetError([f"{name} line {reader.line_num}: {error}"]) from error


def delimiter_hint(header: Sequence[str], delimiter: str) -> str | None:
    """Return a sentence that names the delimiter of a header, if another one splits it into more columns."""
    text = delimiter.join(header)
    columns = {other: text.count(other) + 1 for other in DELIMITERS if other != delimiter}
    best = max(columns, key=lambda other: columns[other])
    if columns[best] <= len(header):
        return None
    written = '"\\t"' if best == "\t" else f"'{best}'"
    return f"{DELIMITERS[best]}: set delimiter: {written}"


def _records(reader: "Reader") -> Iterator[tuple[int, list[str]]]:
    """Yield each record that is not blank, with its first line; a quoted field may span lines."""
    begins = reader.line_num + 1
    for fields in reader:
        if fields:
            yield begins, fields
        begins = reader.line_num + 1


def _with_point(field: str) -> str:
    """Return a number with a decimal comma as one with a point; other text unchanged."""
    return field.replace(".", "").replace(",", ".") if _COMMA_NUMBER.fullmatch(field) else field
