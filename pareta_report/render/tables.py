"""Comparisons and batches as pandas tables, and tables as JSON-compatible rows."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pareta_batch import BatchReport
from pareta_report.comparison import Comparison, ModelScore

if TYPE_CHECKING:
    import pandas as pd


def comparison_table(comparisons: Sequence[Comparison]) -> "pd.DataFrame":
    """Return one row per comparison and model; a comparison without scores has one row with its verdict.

    Qualities and savings are from 0 to 1, costs in micro-USD per request. `against_baseline` is the verdict of the
    paired test; `standing` is `as good`, `worse` or `open`. The baseline has `baseline` in both.
    """
    import pandas as pd

    rows = [row for comparison in comparisons for row in _model_rows(comparison)]
    return pd.DataFrame(rows, columns=list(_COLUMNS)).astype(_COLUMNS)


def batch_table(batches: BatchReport | Sequence[BatchReport]) -> "pd.DataFrame":
    """Return one row per batch: rows by state, money in micro-USD, time in seconds, rate in rows per second."""
    import pandas as pd

    rows = batches if isinstance(batches, Sequence) else [batches]
    return pd.DataFrame([_batch_row(batch) for batch in rows]).astype({"billed_micro_usd": "Int64"})


def artifact_rows(table: "pd.DataFrame", max_rows: int | None = None) -> list[dict[str, object]]:
    """Return the rows of a table as JSON-compatible dicts: missing, NaN and infinite values are None."""
    return [
        {str(column): _plain(value) for column, value in zip(table.columns, row, strict=True)}
        for row in table.head(len(table) if max_rows is None else max_rows).itertuples(index=False, name=None)
    ]


_COLUMNS = {
    **dict.fromkeys(("comparison", "task", "status", "verdict", "model", "kind"), "string"),
    **dict.fromkeys(("quality", "ci_low", "ci_high"), "Float64"),
    **dict.fromkeys(("n", "errors"), "Int64"),
    **dict.fromkeys(("mean_cost_micro_usd", "cost_low_micro_usd", "cost_high_micro_usd", "saving"), "Float64"),
    **dict.fromkeys(("estimated_micro_usd", "billed_micro_usd"), "Float64"),
    "on_pareto_front": "boolean",
    "dominated_by": "string",
    "against_baseline": "string",
    "reused_from": "string",
    "run_id": "string",
    "standing": "string",
}


def _model_rows(comparison: Comparison) -> list[dict[str, object]]:
    shared: dict[str, object] = {
        "comparison": comparison.name,
        "task": comparison.task,
        "status": comparison.status,
        "run_id": comparison.run_id,
    }
    if not comparison.scores:
        return [shared | {"verdict": comparison.verdict.sentence}]
    fields = set(_COLUMNS) & set(ModelScore.model_fields)
    return [
        shared
        | score.model_dump(include=fields)
        | {
            "verdict": comparison.standing(score.model),
            "against_baseline": _pair_verdict(comparison, score),
            "standing": _standing(comparison, score),
        }
        for score in comparison.scores
    ]


def _pair_verdict(comparison: Comparison, score: ModelScore) -> str | None:
    if score.model == comparison.baseline:
        return "baseline"
    return next((pair.verdict for pair in comparison.against_baseline if pair.model == score.model), None)


def _standing(comparison: Comparison, score: ModelScore) -> str | None:
    if score.model == comparison.baseline:
        return "baseline"
    standings = comparison.recommendation.standings if comparison.recommendation else ()
    return next((standing.word for standing in standings if standing.model == score.model), None)


def _batch_row(batch: BatchReport) -> dict[str, object]:
    done = batch.settled + batch.failed
    return {
        "batch": batch.name,
        "model": batch.model,
        "total": batch.total,
        "settled": batch.settled,
        "failed": batch.failed,
        "pending": batch.pending,
        "errors": ", ".join(f"{name}: {number}" for name, number in sorted(batch.errors.items())),
        "billed_micro_usd": batch.billed_micro_usd,
        "wall_s": batch.wall_s,
        "rows_per_s": done / batch.wall_s if batch.wall_s > 0 else None,
        "output": batch.output,
    }


def _plain(value: object) -> object:
    import numpy as np
    import pandas as pd

    match value:
        case None | bool() | str() | int():
            return value
        case np.generic():
            return _plain(value.item())
        case float():
            return value if value == value and abs(value) != float("inf") else None
        case list() | tuple():
            return [_plain(item) for item in value]
        case dict():
            return {str(key): _plain(item) for key, item in value.items()}
        case np.ndarray():
            return _plain(value.tolist())
        case _ if value is pd.NA or value is pd.NaT:
            return None
        case _:
            return str(value)
