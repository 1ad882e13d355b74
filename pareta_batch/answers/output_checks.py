"""Checks of a batch's output files before anything is paid."""

import glob
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import pyarrow
import pyarrow.parquet

from pareta_batch.answers.folder_checks import check_folder
from pareta_batch.answers.formats import Layout, arrow_table
from pareta_batch.answers.openai_output import is_openai_output
from pareta_batch.answers.whole_file import check_replaceable
from pareta_batch.errors import DatasetError, OutputError
from pareta_batch.ledger import Ledger
from pareta_batch.rows import CHUNK_ROWS, Dataset, Row, is_part, local_files
from pareta_batch.spec import Batch

# Columns of every answers file, of older versions too.
ANSWERS_HAVE = ("answer", "error", "attempts", "billed_micro_usd", "request_id")

LEDGER_COMPANIONS = ("", "-wal", "-shm", "-journal")


def check_path(batch: Batch, ledger: Ledger) -> None:
    """Check that the answers can be written, and replace no dataset and no file of the ledger.

    Raises OutputError.
    """
    if (folder := batch.output_folder) is not None:
        check_folder(batch, folder)
        return
    path = batch.output_path
    with named_errors(path):
        if any(_same_file(path, file) for file in local_files(batch.dataset)):
            raise OutputError(f"answers file {path} is the dataset itself; choose another output")
        if is_part(batch.dataset, path):
            raise OutputError(
                f"answers file {path} would be part of the dataset {batch.dataset}; choose another output"
            )
        if path.is_dir():
            raise OutputError(f"answers file {path} is a folder; choose another output")
        if path.exists() and not path.is_file():
            raise OutputError(f"answers file {path} is not a regular file; choose another output")
        if any(_same_file(path, file) for file in _ledger_files(ledger)):
            raise OutputError(f"answers file {path} is a file of the ledger; choose another output")
        if _has_rows_of_others(path):
            raise OutputError(
                f"answers file {path}: its present rows are not answers; move it, or choose another output"
            )
        os.fsencode(path.resolve()).decode()  # the ledger stores paths as text
        batch.page_path.exists()  # raises OSError if the page's name is too long
        check_replaceable(path)


def check_content(batch: Batch, layout: Layout) -> None:
    """Check that a Parquet answers file can hold the columns and every value of the dataset.

    Raises OutputError with file, row and column.
    """
    for column in layout.columns:
        if problem := _unwritable(column):
            raise OutputError(
                f"{output_of(batch)}, column {column.name!r}: {column.type} cannot be written to Parquet ({problem}); "
                "choose .jsonl or .csv as its format"
            )
    rows = Dataset.open(batch.dataset).rows()
    while chunk := list(islice(rows, CHUNK_ROWS)):
        try:
            arrow_table([row.values for row in chunk], layout.columns)
        except _CONTENT_ERRORS as error:
            unfit = _unfit(output_of(batch), chunk, layout.columns)
            raise OutputError(unfit or f"{output_of(batch)}: {error}") from error


def output_of(batch: Batch) -> str:
    """Return the answers file or folder of a batch as messages name it."""
    return f"answers {'folder' if batch.output_folder else 'file'} {batch.output_name}"


def answers_in(path: Path | str) -> int:
    """Return the number of answers in a file; 0 if it is not an answers file."""
    try:
        file = Dataset.open(path)
        if is_openai_output(file.columns):
            return sum(row.values.get("response") is not None for row in file.rows())
        columns = {name: _as_written(name, file.columns) for name in ANSWERS_HAVE}
        if not all(columns.values()):
            return 0
        return sum(row.values.get(columns["answer"] or "") is not None for row in file.rows())
    except DatasetError:
        return 0


@contextmanager
def named_errors(path: Path | str) -> Iterator[None]:
    """Raise OutputError, with the path, for an error that prevents writing the answers file."""
    try:
        yield
    # `resolve` raises RuntimeError for a cycle of symlinks.
    except (*_CONTENT_ERRORS, OSError, RuntimeError) as error:
        raise OutputError(f"answers file {str(path)!r} cannot be written: {error}; choose another output") from error


_CONTENT_ERRORS = (ValueError, TypeError, OverflowError, pyarrow.ArrowException)


def _same_file(one: Path, other: Path) -> bool:
    if one.resolve() == other.resolve():
        return True
    return one.exists() and other.exists() and one.samefile(other)


def _has_rows_of_others(path: Path) -> bool:
    """Return whether a file holds rows, and lacks columns that every answers file has."""
    try:
        columns = Dataset.open(path).columns
    except DatasetError:
        return False
    return not is_openai_output(columns) and not all(_as_written(name, columns) for name in ANSWERS_HAVE)


def _ledger_files(ledger: Ledger) -> Iterator[Path]:
    with ledger.transaction() as db:
        if db.dialect.name != "sqlite":
            return
        # SQLite returns the resolved path for every form of URL.
        found = [row[2] for row in db.exec_driver_sql("PRAGMA database_list") if row[2]]
    for file in map(Path, found):
        yield from (file.with_name(f"{file.name}{ending}") for ending in LEDGER_COMPANIONS)
        yield from file.parent.glob(f"{glob.escape(file.name)}.*.lock")


def _unwritable(column: pyarrow.Field) -> str | None:
    sink, columns = pyarrow.BufferOutputStream(), pyarrow.schema([column])
    try:
        with pyarrow.parquet.ParquetWriter(sink, columns) as writer:
            writer.write_table(columns.empty_table())
    except (*_CONTENT_ERRORS, OSError) as error:
        return str(error)
    return None


def _unfit(output: str, rows: Sequence[Row], columns: pyarrow.Schema) -> str | None:
    """Return the problem of the first value that does not fit its column; None without one."""
    for row in rows:
        for name, value in row.values.items():
            column = columns.field(name)
            try:
                arrow_table([{name: value}], pyarrow.schema([column]))
            except _CONTENT_ERRORS as error:
                return (
                    f"{output}: {row.place}, column {name!r}: {value!r:.60} cannot be written as "
                    f"{column.type} ({error}); choose .jsonl or .csv as its format"
                )
    return None


def _as_written(result: str, columns: Sequence[str]) -> str | None:
    """Return the column of a result: the last one of that name, with or without the prefix `pareta_`."""
    return next((name for name in reversed(columns) if _bare(name) == result), None)


def _bare(name: str) -> str:
    while name.startswith("pareta_"):
        name = name.removeprefix("pareta_")
    return name
