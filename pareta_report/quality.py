"""How good a batch's own answers are, where the dataset says what is true."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pareta_report import intervals
from pareta_report.answers import answers_table
from pareta_report.records import MeasuredQuality

if TYPE_CHECKING:
    import pandas as pd


def batch_measured_quality(answers: "Path | str | pd.DataFrame", truth_column: str) -> MeasuredQuality | None:
    """Compare the answers with the truth; None when no row has a truth.

    Equal means the same text after trimming, joining runs of blanks, and ignoring case. An unanswered row is wrong.
    Raises ValueError when there is no such column.
    """
    table = answers_table(answers)
    if truth_column not in table.columns:
        there = ", ".join(map(str, table.columns))
        raise ValueError(f"the answers have no column {truth_column!r}; they have: {there}")
    normal = [
        (_normal(truth), _normal(answer)) for truth, answer in zip(table[truth_column], table["answer"], strict=True)
    ]
    pairs = [(truth, answer) for truth, answer in normal if truth is not None]
    if not pairs:
        return None
    right = sum(is_right(truth, answer) for truth, answer in pairs)
    low, high = intervals.wilson(right, len(pairs))
    return MeasuredQuality(
        n=len(pairs),
        right=right,
        unanswered=sum(answer is None for _, answer in pairs),
        accuracy=right / len(pairs),
        ci_low=low,
        ci_high=high,
        macro_f1=_macro_f1(pairs),
    )


def is_right(truth: object, answer: object) -> bool:
    """Tell whether an answer equals the truth; a missing one never does."""
    return _normal(answer) is not None and _normal(truth) == _normal(answer)


def _normal(text: object) -> str | None:
    import pandas as pd

    if text is None or text is pd.NA or (isinstance(text, float) and text != text):
        return None
    return " ".join(str(text).split()).casefold() or None


def _macro_f1(pairs: Sequence[tuple[str, str | None]]) -> float:
    """Return the mean F1 over the labels of the truth; an answer outside them is a miss of its true label."""
    labels = sorted({truth for truth, _ in pairs})  # in one order: sums of floats depend on it
    return sum(_f1(label, pairs) for label in labels) / len(labels)


def _f1(label: str, pairs: Sequence[tuple[str, str | None]]) -> float:
    hits = sum(truth == answer == label for truth, answer in pairs)
    named = sum(truth == label for truth, _ in pairs) + sum(answer == label for _, answer in pairs)
    return 2 * hits / named
