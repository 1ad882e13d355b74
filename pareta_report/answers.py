"""A batch's output file as a table, every column with one type whatever the file format."""

import json
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


def answers_table(answers: "Path | str | pd.DataFrame") -> "pd.DataFrame":
    """Return one row per input row: the dataset's own columns as they were, then the batch's with fixed types.

    Empty texts count as missing. Raises ValueError naming the file and the column when one of the batch's is missing,
    or when the file is not .csv, .jsonl or .parquet.
    """
    import pandas as pd

    table = answers.copy() if isinstance(answers, pd.DataFrame) else _read(Path(answers))
    source = "the table" if isinstance(answers, pd.DataFrame) else str(answers)
    if missing := [column for column in BATCH_COLUMNS if column not in table.columns]:
        raise ValueError(f"{source} has no column {missing[0]!r}; it has: {', '.join(map(str, table.columns))}")
    for column in (*WHOLE_NUMBERS, *NUMBERS):
        numbers = pd.to_numeric(table[column].replace("", None))
        table[column] = numbers.astype("Int64" if column in WHOLE_NUMBERS else "Float64")
    for column in TEXTS:
        table[column] = table[column].replace("", None).astype("string")
    return table


def _read(path: Path) -> "pd.DataFrame":
    import pandas as pd

    match path.suffix.lower():
        case ".csv":
            # As texts: pandas would turn an id 007 into 7 and a truth 'NA' into nothing.
            return pd.read_csv(path, dtype=str, keep_default_na=False)
        case ".jsonl" | ".ndjson":
            with path.open(encoding="utf-8") as lines:
                return pd.DataFrame([json.loads(line) for line in lines if line.strip()], dtype=object)
        case ".parquet":
            return pd.read_parquet(path)
        case suffix:
            raise ValueError(f"{path}: cannot read {suffix or 'a file without a suffix'}; use .csv, .jsonl or .parquet")
