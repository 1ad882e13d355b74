"""Confusion matrix, and macro F1 with an interval."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pareta_report.comparison.row_results import Confusion
from pareta_report.stats.intervals import Interval

Pair = tuple[str, str | None]
"""The true label and the predicted label; None without an answer."""

MAX_TRUE_LABELS = 50
"""Number of true labels up to which there is a matrix. Raised: slower, and free text may count as labels."""
MAX_RANDOM_NUMBERS = 4_000_000
"""Random numbers per interval. Raised: more draws with many labels, slower."""
MAX_LABELS_SHOWN = 12
"""Labels in a matrix; the rarest ones beyond it are merged into `OTHER`. Raised: wider tables."""
OTHER = "other"
NO_ANSWER = "no answer"
DRAWS = 4_000
"""Draws of the posterior. Raised: less random variation of the interval, slower."""
PRIOR_RIGHT = 0.5
"""Prior count of right rows per label. Raised: intervals nearer to 1."""
PRIOR_MISTAKES = 1.0
"""Prior count of mistakes, over all labels. Raised: lower ends, wider intervals."""
NO_PRIOR = 1e-9


def confusion_matrix(model: str, pairs: Sequence[Pair], samples: int | None = None) -> Confusion | None:
    """Return the matrix of true labels (rows) and predicted labels (columns).

    None with fewer than two true labels, or more than `MAX_TRUE_LABELS`. `samples` is the number of groups of rows: it
    is the sample size of the interval.
    """
    labels = sorted({truth for truth, _ in pairs})
    if not 2 <= len(labels) <= MAX_TRUE_LABELS:
        return None
    low, high = _interval(_counts(pairs, labels) * ((samples or len(pairs)) / len(pairs)))
    shown, columns, counts = _matrix(pairs, labels)
    return Confusion(
        model=model, labels=shown, said=columns, counts=counts, macro_f1=macro_f1(pairs), ci_low=low, ci_high=high
    )


def macro_f1(pairs: Sequence[Pair]) -> float:
    """Return the mean F1 over the true labels; any other answer is a false negative of its true label."""
    labels = sorted({truth for truth, _ in pairs})  # sorted: the sum of floats depends on the order
    return float(_f1(_counts(pairs, labels)[np.newaxis], np.ones((1, len(labels)))).item())


def _interval(counts: NDArray[np.float64]) -> Interval:
    """Bound macro F1 by its posterior: Dirichlet rows of the matrix, Dirichlet shares of the labels.

    Goutte and Gaussier 2005, ECIR, 345. Each end is the wider one of two priors. `PRIOR_MISTAKES` keeps the interval
    of a sample without mistakes from having no width. `NO_PRIOR` keeps many labels from adding up to many mistakes.
    """
    rng = np.random.default_rng(counts.sum(axis=1).astype(int).tolist())
    ends = [np.quantile(_drawn(counts, mistakes, rng), (0.025, 0.975)) for mistakes in (PRIOR_MISTAKES, NO_PRIOR)]
    perfect = np.trace(counts) == counts.sum()
    return Interval(min(float(low) for low, _ in ends), 1.0 if perfect else max(float(high) for _, high in ends))


def _drawn(counts: NDArray[np.float64], mistakes: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw macro F1 from the posterior; the prior spreads `mistakes` over the cells off the diagonal."""
    size = len(counts)
    prior = np.full((size, size + 1), mistakes / size / size)
    prior[np.arange(size), np.arange(size)] = PRIOR_RIGHT
    draws = min(DRAWS, MAX_RANDOM_NUMBERS // (size * size))
    cells = rng.gamma(np.maximum(counts + prior, NO_PRIOR), size=(draws, size, size + 1))
    shares = rng.gamma(counts.sum(axis=1) + PRIOR_RIGHT, size=(draws, size))
    return _f1(cells / cells.sum(axis=2, keepdims=True), shares / shares.sum(axis=1, keepdims=True))


def _counts(pairs: Sequence[Pair], labels: Sequence[str]) -> NDArray[np.float64]:
    """Return counts by true and predicted label; the last column counts all other predictions."""
    index = {label: number for number, label in enumerate(labels)}
    counts = np.zeros((len(labels), len(labels) + 1))
    for (truth, predicted), number in Counter(pairs).items():
        counts[index[truth], index.get(predicted, len(labels)) if predicted is not None else len(labels)] += number
    return counts


def _f1(matrix: NDArray[np.float64], shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return macro F1 per matrix: rows of shares (or counts), weighted by the shares of the true labels."""
    joint = matrix * shares[:, :, np.newaxis]
    size = joint.shape[1]
    hits = np.diagonal(joint, axis1=1, axis2=2)
    named = joint.sum(axis=2) + joint[:, :, :size].sum(axis=1)
    found: NDArray[np.float64] = (2 * hits / np.maximum(named, 1e-300)).mean(axis=1)
    return found


def _matrix(
    pairs: Sequence[Pair], labels: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[tuple[int, ...], ...]]:
    """Return row labels, column labels and counts for display; rare labels and other answers are merged."""
    frequency = Counter(truth for truth, _ in pairs)
    kept = sorted(sorted(labels, key=lambda label: (-frequency[label], label))[:MAX_LABELS_SHOWN])
    rows = (*kept, *([OTHER] if len(labels) > len(kept) else []))

    def named(label: str) -> str:
        return label if label in kept else OTHER

    cells = Counter((named(truth), NO_ANSWER if predicted is None else named(predicted)) for truth, predicted in pairs)
    columns = tuple(name for name in (*kept, OTHER, NO_ANSWER) if name in kept or any(cells[row, name] for row in rows))
    return rows, columns, tuple(tuple(cells[row, column] for column in columns) for row in rows)
