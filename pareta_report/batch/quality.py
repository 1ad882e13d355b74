"""How good a batch's own answers are, where the dataset says what is true."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pareta_report.batch.answers import answers_table, result_columns, state_of
from pareta_report.batch.truth import label_of
from pareta_report.comparison import MeasuredQuality, confusion_matrix
from pareta_report.stats import intervals

if TYPE_CHECKING:
    import pandas as pd


def batch_measured_quality(answers: "Path | str | pd.DataFrame", truth_column: str) -> MeasuredQuality | None:
    """Compare the answers with the truth; None when no row that is done has a truth.

    Labels are equal as `label_of` defines it. A failed row counts as wrong, a pending one does not count.
    Raises ValueError when there is no such column.
    """
    table = answers_table(answers)
    if truth_column not in table.columns:
        there = ", ".join(map(str, table.columns))
        raise ValueError(f"the answers have no column {truth_column!r}; they have: {there}")
    states = _states(table)
    answer = table[result_columns(list(table.columns))["answer"]]
    labels = [(label_of(truth), label_of(said)) for truth, said in zip(table[truth_column], answer, strict=True)]
    with_truth = [
        (state, truth, said) for state, (truth, said) in zip(states, labels, strict=True) if truth is not None
    ]
    pairs = [(truth, said) for state, truth, said in with_truth if state != "pending"]
    if not pairs:
        return None
    right = sum(truth == said for truth, said in pairs)
    low, high = intervals.exact(right, len(pairs))
    return MeasuredQuality(
        n=len(pairs),
        right=right,
        unanswered=sum(said is None for _, said in pairs),
        failed=sum(state == "failed" for state, _, _ in with_truth),
        pending=len(with_truth) - len(pairs),
        accuracy=right / len(pairs),
        ci_low=low,
        ci_high=high,
        macro_f1=_macro_f1(pairs),
        matrix=confusion_matrix("the batch", pairs),
    )


def _states(table: "pd.DataFrame") -> list[str]:
    results = result_columns(list(table.columns))
    columns = (table[results[name]].astype(object) for name in ("answer", "error", "attempts"))
    given = (column.where(column.notna(), None) for column in columns)
    return [state_of(*row) for row in zip(*given, strict=True)]


def _macro_f1(pairs: Sequence[tuple[str, str | None]]) -> float:
    """Return the mean F1 over the labels of the truth; an answer outside them is a miss of its true label."""
    labels = sorted({truth for truth, _ in pairs})  # in one order: sums of floats depend on it
    return sum(_f1(label, pairs) for label in labels) / len(labels)


def _f1(label: str, pairs: Sequence[tuple[str, str | None]]) -> float:
    hits = sum(truth == answer == label for truth, answer in pairs)
    named = sum(truth == label for truth, _ in pairs) + sum(answer == label for _, answer in pairs)
    return 2 * hits / named
