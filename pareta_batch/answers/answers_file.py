"""The answers file: one row per input row, in input order, with the input columns and the results."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import pyarrow

from pareta_batch.answers.answer_types import field_types, field_values
from pareta_batch.answers.formats import WRITERS, Layout, Record, arrow_table
from pareta_batch.answers.message_columns import message_columns
from pareta_batch.answers.openai_output import openai_record
from pareta_batch.answers.output_checks import answers_in, check_path, named_errors, output_of
from pareta_batch.answers.output_claims import check_known, claim, is_written, mark_written
from pareta_batch.answers.whole_file import whole_file
from pareta_batch.errors import OutputError
from pareta_batch.ledger import Ledger, Outcome
from pareta_batch.plurals import quantity
from pareta_batch.rows import CHUNK_ROWS, MAX_NESTING, Dataset, Row, decimals_of, keyed_rows, nesting, schema
from pareta_batch.spec import Batch

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
SOMETIMES = {"message": pyarrow.string(), "notes": pyarrow.string()}
"""Results that get a column only if a row has a value: most files keep the columns of earlier versions."""

Outcomes = Mapping[str, Outcome]

TYPED = (None, "unchecked")
"""Flags of answers whose fields get typed values."""


def write_answers(batch: Batch, ledger: Ledger) -> Path:
    """Write the answers file from the dataset and the ledger, and return its path; an old file is replaced atomically.

    A result whose name is a column of the dataset, ignoring case, is written as `pareta_NAME`. A file is never
    replaced by one with fewer answers, unless the ledger has all of them. Raises OutputError, DatasetError,
    LedgerError, BatchUnknown.
    """
    path = batch.output_path
    check_known(batch.name, ledger)
    check_path(batch, ledger)
    claim(batch, ledger)
    names, layout = layout_of(batch, results_of(batch, ledger))
    error = names["error"] if batch.output_format == "columns" else "error"
    with named_errors(path), whole_file(path) as part:
        settled = 0
        with WRITERS[path.suffix](part, layout) as write:
            records = records_of(batch, ledger, names)
            while chunk := list(islice(records, CHUNK_ROWS)):
                write(chunk)
                settled += sum(record[error] is None for record in chunk)
        _check_nothing_is_lost(batch, ledger, settled)
    mark_written(batch, ledger)
    return path


def results_table(batch: Batch, ledger: Ledger) -> pyarrow.Table:
    """Return the results of all rows in input order, as the columns that the answers file has beside the dataset."""
    results = results_of(batch, ledger)
    names, layout = layout_of(batch, results)
    columns = pyarrow.schema([layout.columns.field(name) for name in names.values()])
    records = (
        {name: record[name] for name in columns.names} for record in _records(batch, ledger, names, keyed_rows(batch))
    )
    chunks = [columns.empty_table()]
    while chunk := list(islice(records, CHUNK_ROWS)):
        chunks.append(arrow_table(chunk, columns))
    return pyarrow.concat_tables(chunks)


def block_results(
    batch: Batch, block: pyarrow.Schema, keys: Sequence[str], outcomes_of: Callable[[Sequence[str]], Outcomes]
) -> pyarrow.Table:
    """Return the results of the rows of a block, by key; all blocks with the same columns have the same result columns.

    `outcomes_of` returns the outcomes by key.
    """
    results = results_of_spec(batch) | SOMETIMES
    names = _free_names(block, results)
    columns = pyarrow.schema([(names[name], kind) for name, kind in results.items()])
    types, chunks = field_types(batch.schema_of_answers), [columns.empty_table()]
    for first in range(0, len(keys), CHUNK_ROWS):
        some = keys[first : first + CHUNK_ROWS]
        outcomes = outcomes_of(some)
        found = (_results(outcomes.get(key), types) for key in some)
        records = [{column: each.get(name) for name, column in names.items()} for each in found]
        chunks.append(arrow_table(records, columns))
    return pyarrow.concat_tables(chunks)


def results_of(batch: Batch, ledger: Ledger) -> Mapping[str, pyarrow.DataType]:
    """Return the results that get a column, with their types."""
    return results_of_spec(batch) | {name: kind for name, kind in SOMETIMES.items() if ledger.has_any(batch.name, name)}


def results_of_spec(batch: Batch) -> dict[str, pyarrow.DataType]:
    """Return the results that every answers file of a batch has: fields of its schema, and requested columns, too."""
    typed = {f"answer.{name}": kind for name, kind in field_types(batch.schema_of_answers).items()}
    return RESULTS | typed | dict.fromkeys(batch.answer_columns, pyarrow.string())


def layout_of(batch: Batch, results: Mapping[str, pyarrow.DataType] | None = None) -> tuple[Mapping[str, str], Layout]:
    """Return the column name of each result, and the layout of the answers file."""
    results = results_of_spec(batch) if results is None else results
    dataset = Dataset.open(batch.dataset)
    columns = schema(dataset)
    names = _free_names(columns, results)
    added = [pyarrow.field(names[name], kind) for name, kind in results.items()]
    decimals = decimals_of(dataset) if batch.output_suffix == ".csv" else {}
    return names, Layout(pyarrow.schema([*columns, *added]), decimals)


def _free_names(columns: pyarrow.Schema, results: Iterable[str]) -> dict[str, str]:
    taken = {name.casefold() for name in columns.names}
    return {name: _free_name(name, taken) for name in results}


def _free_name(name: str, taken: set[str]) -> str:
    return _free_name(f"pareta_{name}", taken) if name in taken else name


def records_of(
    batch: Batch, ledger: Ledger, names: Mapping[str, str], start: int = 0, stop: int | None = None
) -> Iterator[Record]:
    """Yield the records of the rows from position `start` to before `stop`, in the batch's output format."""
    rows = islice(keyed_rows(batch), start, stop)
    return _records(batch, ledger, names, rows) if batch.output_format == "columns" else _openai(batch, ledger, rows)


def _records(
    batch: Batch, ledger: Ledger, names: Mapping[str, str], rows: Iterator[tuple[str, Row]]
) -> Iterator[Record]:
    types = field_types(batch.schema_of_answers)
    while chunk := list(islice(rows, CHUNK_ROWS)):
        outcomes = ledger.outcomes_of(batch.name, [key for key, _ in chunk])
        for key, row in chunk:
            results = _results(outcomes.get(key), types)
            yield {**row.values, **{column: results.get(name) for name, column in names.items()}}


def _openai(batch: Batch, ledger: Ledger, rows: Iterator[tuple[str, Row]]) -> Iterator[Record]:
    while keys := [key for key, _ in islice(rows, CHUNK_ROWS)]:
        outcomes, times = ledger.outcomes_of(batch.name, keys), ledger.settled_at(batch.name, keys)
        for key in keys:
            yield openai_record(batch.name, batch.model, key, outcomes.get(key), times.get(key))


def _results(outcome: Outcome | None, types: Mapping[str, pyarrow.DataType]) -> Record:
    if outcome is None or outcome.state == "pending":
        in_doubt = outcome is not None and outcome.in_doubt
        if outcome is not None and outcome.turns and not in_doubt:
            return {"error": "pending: its answer does not fit the schema; it is asked again in the next run"}
        return {"error": "pending: sent, its answer never came" if in_doubt else "pending: not sent yet"}
    error = f"{outcome.error}: {outcome.error_message}" if outcome.error else None
    message = None if outcome.message is None else _parsed(outcome.message)
    # An answer that does not fit its schema has no typed values; its text is kept.
    values = field_values(outcome.answer, types) if outcome.flag in TYPED else {}
    typed = {f"answer.{name}": value for name, value in values.items()}
    return {**vars(outcome), "error": error, "message": message, **typed, **message_columns(message)}


def _parsed(message: str) -> object:
    try:
        parsed = json.loads(message)
    except (ValueError, RecursionError):  # nested deeper than Python parses: it stays text
        return message
    return message if nesting(parsed) > MAX_NESTING else parsed


def _check_nothing_is_lost(batch: Batch, ledger: Ledger, settled: int) -> None:
    """Check that an existing file is not replaced by one with fewer answers; raises OutputError."""
    path = batch.output_path
    if not path.exists():
        return
    check_rows_left(batch, ledger, settled)
    if not is_written(batch, ledger) and (existing := answers_in(path)) > settled:
        raise OutputError(
            f"answers file {path}: it holds {quantity(existing, 'answer')}, the ledger has {settled} for batch "
            f"{batch.name!r}; set PARETA_LEDGER_URL to the ledger of that run, move the file, or choose another output"
        )


def check_rows_left(batch: Batch, ledger: Ledger, settled: int) -> None:
    """Check that the dataset still has the rows of all answers in the ledger; raises OutputError."""
    if missing := ledger.tally(batch.name).settled - settled:
        raise OutputError(
            f"{output_of(batch)}: dataset {batch.dataset} no longer has the rows of {quantity(missing, 'answer')} in "
            "the ledger; run the batch again to register the changed dataset, or choose another output"
        )
