"""A batch's output file as a table, every column with one type whatever the file format."""

import json
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

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


def answers_table(answers: "Path | str | pd.DataFrame", most: int | None = None) -> "pd.DataFrame":
    """Return one row per input row: the dataset's own columns as they were, then the batch's with fixed types.

    Given `most`, only so many rows are read.

    Empty texts count as missing. Raises ValueError naming the file and the column when one of the batch's is missing,
    or when the file is not .csv, .jsonl or .parquet.
    """
    import pandas as pd

    if isinstance(answers, pd.DataFrame):
        table = answers.copy() if most is None else answers.head(most).copy()
    else:
        table = _read(Path(answers), most)
    source = "the table" if isinstance(answers, pd.DataFrame) else str(answers)
    if missing := [column for column in BATCH_COLUMNS if column not in table.columns]:
        raise ValueError(f"{source} has no column {missing[0]!r}; it has: {', '.join(map(str, table.columns))}")
    for column in (*WHOLE_NUMBERS, *NUMBERS):
        numbers = pd.to_numeric(table[column].replace("", None))
        table[column] = numbers.astype("Int64" if column in WHOLE_NUMBERS else "Float64")
    for column in TEXTS:
        table[column] = table[column].replace("", None).astype("string")
    return table


def _read(path: Path, most: int | None) -> "pd.DataFrame":
    import pandas as pd

    match path.suffix.lower():
        case ".csv":
            # As texts: pandas would turn an id 007 into 7 and a truth 'NA' into nothing.
            return pd.read_csv(path, dtype=str, keep_default_na=False, nrows=most)
        case ".jsonl" | ".ndjson":
            with path.open(encoding="utf-8") as lines:
                rows = islice((line for line in lines if line.strip()), most)
                return pd.DataFrame([json.loads(line) for line in rows], dtype=object)
        case ".parquet":
            return pd.read_parquet(path) if most is None else _beginning_of_parquet(path, most)
        case suffix:
            raise ValueError(f"{path}: cannot read {suffix or 'a file without a suffix'}; use .csv, .jsonl or .parquet")


def _beginning_of_parquet(path: Path, most: int) -> "pd.DataFrame":
    from pyarrow import parquet

    with parquet.ParquetFile(path) as file:
        beginning = next(file.iter_batches(batch_size=most), None)
        table: pd.DataFrame = (file.schema_arrow.empty_table() if beginning is None else beginning).to_pandas()
        return table
