"""A batch's output file as a table, every column with one type whatever the file format."""

import json
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # pandas takes most of a second to import; a flow that only judges should not wait for it
    import pandas as pd

# The columns a batch adds to those of its dataset, and what they hold.
WHOLE_NUMBERS = ("attempts", "prompt_tokens", "completion_tokens", "billed_micro_usd")
NUMBERS = ("latency_ms",)
TEXTS = ("answer", "error", "flag", "request_id")
BATCH_COLUMNS = (
    *("answer", "error", "flag", "attempts", "latency_ms", "prompt_tokens", "completion_tokens"),
    *("billed_micro_usd", "request_id"),
)

# What stands before the name of a result when the dataset has a column of that name.
PREFIX = "pareta_"

# How the error of a row begins that has none: it was not sent, or its answer has not come.
PENDING = "pending: "


def answers_table(answers: "Path | str | pd.DataFrame", most: int | None = None) -> "pd.DataFrame":
    """Return one row per input row: the dataset's own columns as they were, then the batch's with fixed types.

    Columns have the names that they have in the file: `result_columns` finds the batch's. Given `most`, only so many
    rows are read. Empty texts count as missing.

    Raises ValueError naming the file and the column when one of the batch's is missing, or when the file is not .csv,
    .jsonl or .parquet.
    """
    import pandas as pd

    if isinstance(answers, pd.DataFrame):
        table = answers.copy() if most is None else answers.head(most).copy()
    else:
        table = _read(Path(answers), most)
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
    """Return the column of each result: the last one of its name, because a dataset's own columns come before.

    A dataset that has a column `answer` leaves `pareta_answer` to the batch.
    """
    results = set(BATCH_COLUMNS)
    return {bare: column for column in columns if (bare := _bare(str(column))) in results}


def state_of(answer: object, error: object, attempts: object) -> Literal["settled", "failed", "pending"]:
    """Return what the ledger says of a row, from its results; those that are missing are None."""
    if error is not None:
        return "pending" if str(error).startswith(PENDING) else "failed"
    return "settled" if answer is not None or attempts else "pending"


def _bare(column: str) -> str:
    while column.startswith(PREFIX):
        column = column.removeprefix(PREFIX)
    return column


def _read(path: Path, most: int | None) -> "pd.DataFrame":
    import pandas as pd

    match path.suffix.lower():
        case ".csv":
            # As texts: pandas would turn an id 007 into 7 and a truth 'NA' into nothing.
            return pd.read_csv(path, dtype=str, keep_default_na=False, nrows=most)
        case ".jsonl" | ".ndjson":
            with path.open(encoding="utf-8") as lines:
                rows = islice((line for line in lines if line.strip()), most)
                return _table_of([json.loads(line) for line in rows])
        case ".parquet":
            return _read_parquet(path, most)
        case suffix:
            raise ValueError(f"{path}: cannot read {suffix or 'a file without a suffix'}; use .csv, .jsonl or .parquet")


def _table_of(rows: Sequence[dict[str, object]]) -> "pd.DataFrame":
    """Make a table of rows that may have different columns; the results, which end the first row, stay the last."""
    import pandas as pd

    first = list(rows[0]) if rows else []
    results = set(result_columns(first).values())
    own = [column for column in (*first, *_columns_of(rows)) if column not in results]
    columns = [*dict.fromkeys(own), *(column for column in first if column in results)]
    return pd.DataFrame(rows, columns=columns, dtype=object)


def _columns_of(rows: Iterable[dict[str, object]]) -> Sequence[str]:
    return list(dict.fromkeys(column for row in rows for column in row))


def _read_parquet(path: Path, most: int | None) -> "pd.DataFrame":
    """Read values as Python has them: pandas would turn whole numbers with gaps into floats."""
    import pandas as pd
    from pyarrow import parquet

    with parquet.ParquetFile(path) as file:
        if most is None:
            table = file.read()
        else:
            beginning = next(file.iter_batches(batch_size=most), None)
            table = file.schema_arrow.empty_table() if beginning is None else beginning
        values = {name: column.to_pylist() for name, column in zip(table.schema.names, table.columns, strict=True)}
        return pd.DataFrame(values, columns=table.schema.names, dtype=object)
