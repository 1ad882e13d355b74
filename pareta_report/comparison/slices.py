"""Results in parts: by label, by group, by a column of the rows; and which label was taken for which."""

from collections import Counter
from collections.abc import Mapping, Sequence

from pareta_report.batch import label_of
from pareta_report.comparison.candidates import Candidate, membership
from pareta_report.comparison.confusion import confusion_matrix
from pareta_report.comparison.results import Confusion, Slice, SliceScore, Slicing
from pareta_report.stats import intervals

MOST_SLICES = 20
"""Parts that are shown, the largest first. Raised: a longer page; each part has a smaller sample."""
MOST_LABELS = 50
"""Different expected answers up to which they are taken for labels. Raised: free text may pass for a label."""
ROWS_PER_LABEL = 2
"""Rows that a label has on average at least. Raised: fewer tasks are taken for a classification."""

Rows = Sequence[Mapping[str, object]]
Pair = tuple[Candidate, Candidate]


def slicings(
    pair: Pair, rows: Rows | None, groups: Mapping[int, str] | None, named: Mapping[int, str] | None, column: str | None
) -> tuple[Slicing, ...]:
    """Return the rows of two models in parts, each with intervals and the rows that flip between the models.

    Args:
        pair: the two models that one decides between.
        rows: the eval rows; their expected answers are labels where there are few of them.
        groups: the group of each row, by its place.
        named: the value of the slice column of each row, by its place.
        column: the name of that column.
    """
    labels = labels_of(rows)
    parts = (("label", labels), ("group", groups), (column or "column", named))
    return tuple(_slicing(by, members, pair, groups) for by, members in parts if members)


def confusions(
    found: Sequence[Candidate], rows: Rows | None, groups: Mapping[int, str] | None
) -> tuple[Confusion, ...]:
    """Return the confusion matrix of each model with per-row answers, where the expected answers are labels."""
    labels = labels_of(rows)
    if labels is None:
        return ()
    made = (_confusion(candidate, labels, groups) for candidate in found if candidate.items)
    return tuple(matrix for matrix in made if matrix is not None)


def labels_of(rows: Rows | None) -> Mapping[int, str] | None:
    """Return the label of each row, by its place; None where the expected answers are no labels."""
    expected = [row.get("expected", row.get("expected_output")) for row in rows or ()]
    labels = {place: label_of(_alone(value)) for place, value in enumerate(expected)}
    told = {place: label for place, label in labels.items() if label is not None}
    kinds = len(set(told.values()))
    if len(told) < len(labels) or not 2 <= kinds <= MOST_LABELS or len(told) < ROWS_PER_LABEL * kinds:
        return None
    return told


def _alone(value: object) -> object:
    """Return the value of an object with one field, and nothing of what is no scalar."""
    if isinstance(value, dict) and len(value) == 1:
        (value,) = value.values()
    return value if isinstance(value, str | int | float | bool) else None


def _confusion(candidate: Candidate, labels: Mapping[int, str], groups: Mapping[int, str] | None) -> Confusion | None:
    rows = [row for row in sorted(candidate.items) if row in labels]
    said = [None if candidate.items[row].errored else label_of(candidate.items[row].prediction) for row in rows]
    apart = len(set(membership(groups, rows) or rows))
    return confusion_matrix(
        candidate.model, [(labels[row], answer) for row, answer in zip(rows, said, strict=True)], apart
    )


def _slicing(by: str, members: Mapping[int, str], pair: Pair, groups: Mapping[int, str] | None) -> Slicing:
    one, other = pair
    rows = sorted(one.items.keys() & other.items.keys() & members.keys())
    sizes = Counter(members[row] for row in rows)
    shown = sorted(sizes, key=lambda value: (-sizes[value], value))[:MOST_SLICES]
    return Slicing(
        by=by,
        slices=tuple(_slice(value, [row for row in rows if members[row] == value], pair, groups) for value in shown),
        left_out=len(sizes) - len(shown),
    )


def _slice(value: str, rows: Sequence[int], pair: Pair, groups: Mapping[int, str] | None) -> Slice:
    one, other = pair
    together = membership(groups, rows)
    gaps = one.scores(rows) - other.scores(rows)
    low, high = intervals.of_difference(gaps, together)
    return Slice(
        value=value,
        n=len(rows),
        scores=tuple(_score(candidate, rows, together) for candidate in pair),
        difference=float(gaps.mean()),
        ci_low=low,
        ci_high=high,
        gained=int((gaps > 0).sum()),
        lost=int((gaps < 0).sum()),
    )


def _score(candidate: Candidate, rows: Sequence[int], together: Sequence[str] | None) -> SliceScore:
    scores = candidate.scores(rows)
    low, high = intervals.of_mean(scores, together)
    return SliceScore(model=candidate.model, quality=float(scores.mean()), ci_low=low, ci_high=high)
