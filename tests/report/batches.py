"""A finished batch: its facts and its answers."""

import json
from pathlib import Path

from pydantic import Field

from pareta_batch.rate_limit.history import Limits
from pareta_batch.report import BatchReport


class Facts(BatchReport):
    """A batch with one row of each kind."""

    name: str = "licences"
    model: str = "ep_1"
    dataset: str = "rows.jsonl"
    total: int = 4
    settled: int = 2
    failed: int = 1
    pending: int = 1
    errors: dict[str, int] = Field(default={"BadRequestError": 1})
    flagged: dict[str, int] = Field(default={})
    changed: int = 0
    not_paid: int = 2
    unknown: int = 0
    unknown_at_most_micro_usd: int | None = 0
    resent: int = 0
    replayed: int = 0
    replayed_at_most_micro_usd: int | None = 0
    billed_micro_usd: int | None = 1_500
    rest_micro_usd: int | None = 750
    superseded_micro_usd: int = 0
    prompt_tokens: int = 600
    completion_tokens: int = 4
    tolerated_failures: float = 0.0
    refused: int = 0
    stopped: str | None = None
    stopped_message: str | None = None
    wall_s: float = 2.0
    limits: tuple[Limits, ...] = ()
    output: str = "answers.jsonl"


def answer(row_id: str, text: str | None, **fields: object) -> dict[str, object]:
    """Return one row of an output file."""
    batch_columns = {
        "answer": text,
        "error": None,
        "flag": None,
        "attempts": 1,
        "latency_ms": 120.5,
        "prompt_tokens": 300,
        "completion_tokens": 2,
        "billed_micro_usd": 15,
        "request_id": f"req_{row_id}",
    }
    return {"id": row_id, "document": f"text of {row_id}", "licence": "MIT"} | batch_columns | fields


FAILED = {"error": "BadRequestError: too long", "billed_micro_usd": None, "latency_ms": None}
PENDING = {"attempts": 0, "billed_micro_usd": None, "latency_ms": None, "prompt_tokens": None, "request_id": None}


def four_answers() -> list[dict[str, object]]:
    """Return a row that is right, one that is wrong, one that failed and one still pending."""
    return [answer("007", "MIT"), answer("b", "ISC"), answer("c", None, **FAILED), answer("d", None, **PENDING)]


def written(path: Path, rows: list[dict[str, object]]) -> Path:
    """Write rows as an output file of the path's kind."""
    import pandas as pd

    match path.suffix:
        case ".jsonl":
            path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        case ".csv":
            pd.DataFrame(rows, dtype=object).to_csv(path, index=False)
        case _:
            pd.DataFrame(rows).to_parquet(path)
    return path
