"""A batch's output file as a table, with the same column types for every file format."""

import json
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pareta_batch import Dataset

if TYPE_CHECKING:  # pandas takes most of a second to import
    import pandas as pd

# The columns that a batch adds to those of its dataset, by type.
WHOLE_NUMBERS = ("attempts", "prompt_tokens", "completion_tokens", "billed_micro_usd")
NUMBERS = ("latency_ms",)
TEXTS = ("answer", "error", "flag", "request_id")
BATCH_COLUMNS = (
    *("answer", "error", "flag", "attempts", "latency_ms", "prompt_tokens", "completion_tokens"),
    *("billed_micro_usd", "request_id"),
)

PREFIX = "pareta_"
"""Prefix of a result column when the dataset has a column of the same name."""

PENDING = "pending: "
"""Prefix of the `error` of a row that has no answer yet."""


def answers_table(answers: "Path | str | pd.DataFrame", max_rows: int | None = None) -> "pd.DataFrame":
    """Return one row per input row: the dataset's own columns unchanged, then the result columns with fixed types.

    Column names are those of the file; `result_columns` finds the result columns. Empty texts are missing values.

    Args:
        answers: The output file, its table, or the path or URL of an output folder, which ends in `/`.
        max_rows: Number of rows to read, from the first; all by default.

    Raises:
        ValueError: A result column is missing, or the file is not .csv, .jsonl or .parquet.
    """
    import pandas as pd

    if isinstance(answers, pd.DataFrame):
        table = answers.copy() if max_rows is None else answers.head(max_rows).copy()
    else:
        table = _read_folder(str(answers), max_rows) if str(answers).endswith("/") else _read(Path(answers), max_rows)
    source = "the table" if isinstance(answers, pd.DataFrame) else str(answers)
    results = result_columns(list(table.columns))
    if missing := [column for column in BATCH_COLUMNS if column not in results]:
        raise ValueError(f"{source} has no column {missing[0]!r}; it has: {', '.join(map(str, table.columns))}")
    for result in (*WHOLE_NUMBERS, *NUMBERS):
        numbers = pd.to_numeric(table[results[result]].replace("", None))
        table[results[result]] = numbers.astype("Int64" if result in WHOLE_NUMBERS else "Float64")
    for result in TEXTS:
        table[results[result]] = table[results[result]].replace("", None).astype("string")
    return table


def result_columns(columns: Sequence[str]) -> dict[str, str]:
    """Return the column name of each result: the last match, because the dataset's own columns come first.

    With a dataset column `answer`, the result column is `pareta_answer`.
    """
    results = set(BATCH_COLUMNS)
    return {bare: column for column in columns if (bare := _bare(str(column))) in results}


def state_of(answer: object, error: object, attempts: object) -> Literal["settled", "failed", "pending"]:
    """Return the ledger state of a row, from its result values (None where missing)."""
    if error is not None:
        return "pending" if str(error).startswith(PENDING) else "failed"
    return "settled" if answer is not None or attempts else "pending"


def _bare(column: str) -> str:
    while column.startswith(PREFIX):
        column = column.removeprefix(PREFIX)
    return column


def _read(path: Path, max_rows: int | None) -> "pd.DataFrame":
    import pandas as pd

    match path.suffix.lower():
        case ".csv":
            # As text: pandas would turn an id 007 into 7 and a truth 'NA' into a missing value.
            return pd.read_csv(path, dtype=str, keep_default_na=False, nrows=max_rows)
        case ".jsonl" | ".ndjson":
            with path.open(encoding="utf-8") as lines:
                rows = islice((line for line in lines if line.strip()), max_rows)
                return _table_of([json.loads(line) for line in rows])
        case ".parquet":
            return _read_parquet(path, max_rows)
        case suffix:
            raise ValueError(f"{path}: unsupported file type {suffix!r}; use .csv, .jsonl or .parquet")


def _read_folder(folder: str, max_rows: int | None) -> "pd.DataFrame":
    return _table_of([dict(row.values) for row in islice(Dataset.open(folder).rows(), max_rows)])


def _table_of(rows: Sequence[dict[str, object]]) -> "pd.DataFrame":
    """Return a table of rows that may have different columns; result columns come last."""
    import pandas as pd

    first = list(rows[0]) if rows else []
    results = set(result_columns(first).values())
    own = dict.fromkeys(column for row in rows for column in row if column not in results)
    columns = [*own, *(column for column in first if column in results)]
    return pd.DataFrame(rows, columns=columns, dtype=object)


def _read_parquet(path: Path, max_rows: int | None) -> "pd.DataFrame":
    """Read values as Python objects: pandas would turn integers with missing values into floats."""
    import pandas as pd
    from pyarrow import parquet

    with parquet.ParquetFile(path) as file:
        if max_rows is None:
            table = file.read()
        else:
            first_batch = next(file.iter_batches(batch_size=max_rows), None)
            table = file.schema_arrow.empty_table() if first_batch is None else first_batch
        values = {name: column.to_pylist() for name, column in zip(table.schema.names, table.columns, strict=True)}
        return pd.DataFrame(values, columns=table.schema.names, dtype=object)
