"""Results by slice (label, group or a column of the rows), and confusion matrices."""

from collections import Counter
from collections.abc import Mapping, Sequence

from pareta_report.batch import label_of
from pareta_report.comparison.candidates import membership
from pareta_report.comparison.confusion import confusion_matrix
from pareta_report.comparison.row_results import Confusion, Slice, SliceScore, Slicing
from pareta_report.comparison.valid_results import Candidate
from pareta_report.stats import intervals

MAX_SLICES = 20
"""Slices shown, the largest first. Raised: a longer page, with slices of fewer rows."""
MAX_LABELS = 50
"""Number of different expected answers up to which they are labels. Raised: free text may count as labels."""
MIN_ROWS_PER_LABEL = 2
"""Minimum mean number of rows per label. Raised: fewer tasks count as classifications."""

Rows = Sequence[Mapping[str, object]]
Pair = tuple[Candidate, Candidate]


def slicings(
    pair: Pair, rows: Rows | None, groups: Mapping[int, str] | None, named: Mapping[int, str] | None, column: str | None
) -> tuple[Slicing, ...]:
    """Return the results of two models by slice, with intervals and the number of rows that differ.

    Args:
        pair: The two models of the decision.
        rows: The eval rows; expected answers are labels if they are few.
        groups: The group of each row, by index.
        named: The value of the slice column of each row, by index.
        column: The name of the slice column.
    """
    labels = labels_of(rows)
    parts = (("label", labels), ("group", groups), (column or "column", named))
    return tuple(_slicing(by, members, pair, groups) for by, members in parts if members)


def confusions(
    found: Sequence[Candidate], rows: Rows | None, groups: Mapping[int, str] | None
) -> tuple[Confusion, ...]:
    """Return the confusion matrix of each model with per-row answers, if the expected answers are labels."""
    labels = labels_of(rows)
    if labels is None:
        return ()
    made = (_confusion(candidate, labels, groups) for candidate in found if candidate.items)
    return tuple(matrix for matrix in made if matrix is not None)


def labels_of(rows: Rows | None) -> Mapping[int, str] | None:
    """Return the label of each row, by index; None if the expected answers are not labels."""
    expected = [row.get("expected", row.get("expected_output")) for row in rows or ()]
    labels = {index: label_of(_scalar(value)) for index, value in enumerate(expected)}
    known = {index: label for index, label in labels.items() if label is not None}
    kinds = len(set(known.values()))
    if len(known) < len(labels) or not 2 <= kinds <= MAX_LABELS or len(known) < MIN_ROWS_PER_LABEL * kinds:
        return None
    return known


def _scalar(value: object) -> object:
    """Return a scalar, also from an object with one field; None for any other value."""
    if isinstance(value, dict) and len(value) == 1:
        (value,) = value.values()
    return value if isinstance(value, str | int | float | bool) else None


def _confusion(candidate: Candidate, labels: Mapping[int, str], groups: Mapping[int, str] | None) -> Confusion | None:
    rows = [row for row in sorted(candidate.items) if row in labels]
    answers = [None if candidate.items[row].errored else label_of(candidate.items[row].prediction) for row in rows]
    samples = len(set(membership(groups, rows) or rows))
    return confusion_matrix(
        candidate.model, [(labels[row], answer) for row, answer in zip(rows, answers, strict=True)], samples
    )


def _slicing(by: str, members: Mapping[int, str], pair: Pair, groups: Mapping[int, str] | None) -> Slicing:
    one, other = pair
    rows = sorted(one.items.keys() & other.items.keys() & members.keys())
    sizes = Counter(members[row] for row in rows)
    shown = sorted(sizes, key=lambda value: (-sizes[value], value))[:MAX_SLICES]
    return Slicing(
        by=by,
        slices=tuple(_slice(value, [row for row in rows if members[row] == value], pair, groups) for value in shown),
        left_out=len(sizes) - len(shown),
    )


def _slice(value: str, rows: Sequence[int], pair: Pair, groups: Mapping[int, str] | None) -> Slice:
    one, other = pair
    row_groups = membership(groups, rows)
    gaps = one.scores(rows) - other.scores(rows)
    low, high = intervals.of_difference(gaps, row_groups)
    return Slice(
        value=value,
        n=len(rows),
        scores=tuple(_score(candidate, rows, row_groups) for candidate in pair),
        difference=float(gaps.mean()),
        ci_low=low,
        ci_high=high,
        gained=int((gaps > 0).sum()),
        lost=int((gaps < 0).sum()),
    )


def _score(candidate: Candidate, rows: Sequence[int], row_groups: Sequence[str] | None) -> SliceScore:
    scores = candidate.scores(rows)
    low, high = intervals.of_mean(scores, row_groups)
    return SliceScore(model=candidate.model, quality=float(scores.mean()), ci_low=low, ci_high=high)
