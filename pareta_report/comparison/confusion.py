"""Which label was taken for which, and macro-F1 with an interval."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pareta_report.comparison.results import Confusion
from pareta_report.stats.intervals import Interval

Pair = tuple[str, str | None]
"""The true label and the label that was said; None is no answer."""

MOST_MEASURED = 50
"""Different true labels up to which there is a matrix at all. Raised: slower, and free text may pass for labels."""
MOST_NUMBERS = 4_000_000
"""Random numbers for one interval. Raised: more draws for many labels, slower."""
MOST_LABELS = 12
"""Labels that a matrix shows. Raised: wider tables; the rarest labels beyond it are one."""
OTHER = "other"
NO_ANSWER = "no answer"
DRAWS = 4_000
"""Draws of the posterior. Raised: a steadier interval, slower."""
RIGHT = 0.5
"""Right rows that each label has beforehand. Raised: intervals nearer to 1."""
MISTAKES = 1.0
"""Mistakes that all labels together have beforehand. Raised: lower ends, wider intervals."""
NONE = 1e-9


def confusion_matrix(model: str, pairs: Sequence[Pair], samples: int | None = None) -> Confusion | None:
    """Return the matrix of true labels (rows) and said ones (columns); None for one true label or for too many.

    `samples` is the number of groups where rows belong together: the interval then takes that many rows for the sample.
    """
    labels = sorted({truth for truth, _ in pairs})
    if not 2 <= len(labels) <= MOST_MEASURED:
        return None
    low, high = _interval(_counts(pairs, labels) * ((samples or len(pairs)) / len(pairs)))
    shown, columns, counts = _matrix(pairs, labels)
    return Confusion(
        model=model, labels=shown, said=columns, counts=counts, macro_f1=macro_f1(pairs), ci_low=low, ci_high=high
    )


def macro_f1(pairs: Sequence[Pair]) -> float:
    """Return the mean F1 over the labels of the truth; an answer outside them is a miss of its true label."""
    labels = sorted({truth for truth, _ in pairs})  # in one order: sums of floats depend on it
    return float(_f1(_counts(pairs, labels)[np.newaxis], np.ones((1, len(labels)))).item())


def _interval(counts: NDArray[np.float64]) -> Interval:
    """Bound macro-F1 by its posterior: Dirichlet rows of the matrix, Dirichlet shares of the labels.

    Goutte and Gaussier 2005, ECIR, 345. The wider of two priors at either end: one with a mistake in all beforehand, so
    that a sample without mistakes has a width, and one without, so that many labels do not sum up to many mistakes.
    """
    rng = np.random.default_rng(counts.sum(axis=1).astype(int).tolist())
    ends = [np.quantile(_drawn(counts, mistakes, rng), (0.025, 0.975)) for mistakes in (MISTAKES, NONE)]
    perfect = np.trace(counts) == counts.sum()
    return Interval(min(float(low) for low, _ in ends), 1.0 if perfect else max(float(high) for _, high in ends))


def _drawn(counts: NDArray[np.float64], mistakes: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw macro-F1, with so many mistakes in all beforehand, spread over the cells off the diagonal."""
    size = len(counts)
    prior = np.full((size, size + 1), mistakes / size / size)
    prior[np.arange(size), np.arange(size)] = RIGHT
    draws = min(DRAWS, MOST_NUMBERS // (size * size))
    cells = rng.gamma(np.maximum(counts + prior, NONE), size=(draws, size, size + 1))
    shares = rng.gamma(counts.sum(axis=1) + RIGHT, size=(draws, size))
    return _f1(cells / cells.sum(axis=2, keepdims=True), shares / shares.sum(axis=1, keepdims=True))


def _counts(pairs: Sequence[Pair], labels: Sequence[str]) -> NDArray[np.float64]:
    """Return counts by true label and said one; the last column is what is none of the true labels."""
    place = {label: number for number, label in enumerate(labels)}
    counts = np.zeros((len(labels), len(labels) + 1))
    for (truth, said), number in Counter(pairs).items():
        counts[place[truth], place.get(said, len(labels)) if said is not None else len(labels)] += number
    return counts


def _f1(matrix: NDArray[np.float64], shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return macro-F1 of matrices: per draw rows of shares (or counts), weighted by the shares of the true labels."""
    joint = matrix * shares[:, :, np.newaxis]
    size = joint.shape[1]
    hits = np.diagonal(joint, axis1=1, axis2=2)
    named = joint.sum(axis=2) + joint[:, :, :size].sum(axis=1)
    found: NDArray[np.float64] = (2 * hits / np.maximum(named, 1e-300)).mean(axis=1)
    return found


def _matrix(
    pairs: Sequence[Pair], labels: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[tuple[int, ...], ...]]:
    """Return the row labels, the column labels and the counts to show; rare labels are one, as is what is no label."""
    often = Counter(truth for truth, _ in pairs)
    kept = sorted(sorted(labels, key=lambda label: (-often[label], label))[:MOST_LABELS])
    rows = (*kept, *([OTHER] if len(labels) > len(kept) else []))

    def named(label: str) -> str:
        return label if label in kept else OTHER

    cells = Counter((named(truth), NO_ANSWER if said is None else named(said)) for truth, said in pairs)
    columns = tuple(name for name in (*kept, OTHER, NO_ANSWER) if name in kept or any(cells[row, name] for row in rows))
    return rows, columns, tuple(tuple(cells[row, column] for column in columns) for row in rows)
