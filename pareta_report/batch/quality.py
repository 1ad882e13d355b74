"""Measured quality of a batch: its answers compared with the true labels of the dataset."""

from pathlib import Path
from typing import TYPE_CHECKING

from pareta_report.batch.answers import answers_table, result_columns, state_of
from pareta_report.batch.truth import label_of
from pareta_report.comparison import MeasuredQuality, confusion_matrix, macro_f1
from pareta_report.stats import intervals

if TYPE_CHECKING:
    import pandas as pd


def batch_measured_quality(answers: "Path | str | pd.DataFrame", truth_column: str) -> MeasuredQuality | None:
    """Compare the answers with the true labels; return None if no finished row has one.

    Labels are compared by `label_of`. A failed row counts as wrong; a pending row is excluded.
    Raises ValueError if the column is missing.
    """
    table = answers_table(answers)
    if truth_column not in table.columns:
        columns = ", ".join(map(str, table.columns))
        raise ValueError(f"the answers have no column {truth_column!r}; they have: {columns}")
    states = _states(table)
    answers_column = table[result_columns(list(table.columns))["answer"]]
    labels = [
        (label_of(truth), label_of(answer)) for truth, answer in zip(table[truth_column], answers_column, strict=True)
    ]
    with_truth = [
        (state, truth, answer) for state, (truth, answer) in zip(states, labels, strict=True) if truth is not None
    ]
    pairs = [(truth, answer) for state, truth, answer in with_truth if state != "pending"]
    if not pairs:
        return None
    right = sum(truth == answer for truth, answer in pairs)
    low, high = intervals.exact(right, len(pairs))
    return MeasuredQuality(
        n=len(pairs),
        right=right,
        unanswered=sum(answer is None for _, answer in pairs),
        failed=sum(state == "failed" for state, _, _ in with_truth),
        pending=len(with_truth) - len(pairs),
        accuracy=right / len(pairs),
        ci_low=low,
        ci_high=high,
        macro_f1=macro_f1(pairs),
        matrix=confusion_matrix("the batch", pairs),
    )


def _states(table: "pd.DataFrame") -> list[str]:
    results = result_columns(list(table.columns))
    columns = (table[results[name]].astype(object) for name in ("answer", "error", "attempts"))
    values = (column.where(column.notna(), None) for column in columns)
    return [state_of(*row) for row in zip(*values, strict=True)]
