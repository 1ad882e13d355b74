"""Writers of the answers file as CSV, JSON Lines and Parquet, in chunks of records."""

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pyarrow
import pyarrow.parquet

from pareta_batch.rows import is_missing, json_text, text_of

Record = Mapping[str, object]
_LINE_ENDS = re.compile("[\u0085\u2028\u2029]")
"""Characters that JSON allows in a string, and some readers take for the end of a line."""

Write = Callable[[Sequence[Record]], None]

TIMESPECS = {0: "seconds", 3: "milliseconds", 6: "microseconds", 9: "nanoseconds"}


@dataclass(frozen=True)
class Layout:
    """The columns of an answers file, and the decimals of a second of timestamps in text, by column."""

    columns: pyarrow.Schema
    decimals: Mapping[str, int] = field(default_factory=dict)


@contextmanager
def _csv_writer(path: Path, layout: Layout) -> Iterator[Write]:
    def cells(row: Record) -> dict[str, str | None]:
        return {name: _cell(value, layout.decimals.get(name)) for name, value in row.items()}

    # A character that UTF-8 cannot encode must not prevent writing a paid answer.
    with path.open("w", encoding="utf-8", errors="replace", newline="") as file:
        writer = csv.DictWriter(file, layout.columns.names)
        writer.writeheader()
        yield lambda records: writer.writerows(map(cells, records))


def _cell(value: object, decimals: int | None) -> str | None:
    if is_missing(value):
        return None
    if decimals is not None and isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec=TIMESPECS[decimals])
    return text_of(value)


@contextmanager
def _jsonl_writer(path: Path, layout: Layout) -> Iterator[Write]:
    with path.open("w", encoding="utf-8", errors="replace") as file:
        yield lambda records: file.writelines(_one_line(json_text(row)) + "\n" for row in records)


def _one_line(text: str) -> str:
    return _LINE_ENDS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


@contextmanager
def _parquet_writer(path: Path, layout: Layout) -> Iterator[Write]:
    with pyarrow.parquet.ParquetWriter(path, layout.columns) as writer:
        yield lambda records: writer.write_table(arrow_table(records, layout.columns))


def arrow_table(records: Iterable[Record], columns: pyarrow.Schema) -> pyarrow.Table:
    """Return records as an Arrow table; other values in a text column are converted to JSON text."""
    texts = {each.name for each in columns if each.type == pyarrow.string()}

    def fitted(row: Record) -> dict[str, object]:
        return {name: _text(value) if name in texts else value for name, value in row.items()}

    return pyarrow.Table.from_pylist([*map(fitted, records)], schema=columns)


def _text(value: object) -> str | None:
    return None if is_missing(value) else text_of(value)


WRITERS: Mapping[str, Callable[[Path, Layout], AbstractContextManager[Write]]] = {
    ".csv": _csv_writer,
    ".jsonl": _jsonl_writer,
    ".parquet": _parquet_writer,
}
