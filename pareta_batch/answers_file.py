"""The answers file: a row for every input row, in input order, with its columns and what became of it."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import islice
from pathlib import Path

import pyarrow
import pyarrow.parquet

from pareta_batch.asks import keyed_rows
from pareta_batch.batch import Batch
from pareta_batch.dataset import CHUNK_ROWS, Dataset, schema
from pareta_batch.errors import OutputError
from pareta_batch.ledger import Ledger
from pareta_batch.outcomes import Outcome

Record = Mapping[str, object]
Write = Callable[[Iterable[Record]], None]

RESULTS = {
    "answer": pyarrow.string(),
    "error": pyarrow.string(),
    "flag": pyarrow.string(),
    "attempts": pyarrow.int64(),
    "latency_ms": pyarrow.float64(),
    "prompt_tokens": pyarrow.int64(),
    "completion_tokens": pyarrow.int64(),
    "billed_micro_usd": pyarrow.int64(),
    "request_id": pyarrow.string(),
}


def check_output(batch: Batch) -> None:
    """Make sure that the answers file can be written, before anything is paid for it.

    Raises OutputError.
    """
    path = batch.output_path
    if path.resolve() == Path(batch.dataset).resolve():
        raise OutputError(f"answers file {path} is the dataset itself: choose another output")
    if path.is_dir():
        raise OutputError(f"answers file {path} is a folder: choose another output")
    with _named_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        trial = _part(path)
        trial.open("ab").close()
        trial.unlink()


def write_answers(batch: Batch, ledger: Ledger) -> Path:
    """Write the answers file anew from the dataset and the ledger; an old one stays until the new one is whole.

    A result whose name is a column of the dataset is written as `pareta_NAME`. Raises OutputError, DatasetError.
    """
    path = batch.output_path
    columns = schema(Dataset.open(batch.dataset))
    names = {name: _free_name(name, columns.names) for name in RESULTS}
    results = [pyarrow.field(names[name], kind) for name, kind in RESULTS.items()]
    with _named_errors(path):
        with _WRITERS[path.suffix](_part(path), pyarrow.schema([*columns, *results])) as write:
            records = _records(batch, ledger, names)
            while chunk := list(islice(records, CHUNK_ROWS)):
                write(chunk)
        _part(path).replace(path)
    return path


def _free_name(name: str, taken: Sequence[str]) -> str:
    return _free_name(f"pareta_{name}", taken) if name in taken else name


def _records(batch: Batch, ledger: Ledger, names: Mapping[str, str]) -> Iterator[Record]:
    rows = keyed_rows(batch)
    while chunk := list(islice(rows, CHUNK_ROWS)):
        outcomes = ledger.outcomes_of(batch.name, [key for key, _ in chunk])
        for key, row in chunk:
            results = _results(outcomes.get(key))
            yield {**row.values, **{names[name]: results.get(name) for name in RESULTS}}


def _results(outcome: Outcome | None) -> Record:
    if outcome is None or outcome.state == "pending":
        return {"error": "pending: not sent yet"}
    error = f"{outcome.error}: {outcome.error_message}" if outcome.error else None
    return {name: getattr(outcome, name) for name in RESULTS} | {"error": error}


@contextmanager
def _csv_writer(path: Path, columns: pyarrow.Schema) -> Iterator[Write]:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns.names)
        writer.writeheader()
        yield lambda records: writer.writerows({name: _text(value) for name, value in row.items()} for row in records)


@contextmanager
def _jsonl_writer(path: Path, columns: pyarrow.Schema) -> Iterator[Write]:
    with path.open("w", encoding="utf-8") as file:
        yield lambda records: file.writelines(
            json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in records
        )


@contextmanager
def _parquet_writer(path: Path, columns: pyarrow.Schema) -> Iterator[Write]:
    texts = {field.name for field in columns if field.type == pyarrow.string()}

    def fitted(row: Record) -> dict[str, object]:
        return {name: _text(value) if name in texts else value for name, value in row.items()}

    with pyarrow.parquet.ParquetWriter(path, columns) as writer:
        yield lambda records: writer.write_table(pyarrow.Table.from_pylist([*map(fitted, records)], schema=columns))


_WRITERS: dict[str, Callable[[Path, pyarrow.Schema], AbstractContextManager[Write]]] = {
    ".csv": _csv_writer,
    ".jsonl": _jsonl_writer,
    ".parquet": _parquet_writer,
}


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)


def _part(path: Path) -> Path:
    return path.with_name(path.name + ".part")


@contextmanager
def _named_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, pyarrow.ArrowException, UnicodeEncodeError) as error:
        raise OutputError(f"answers file {path} cannot be written: {error}") from error
