"""Details of a comparison: the deciding pair, its disagreements, results by slice, and latency."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

from pareta_report.comparison import (
    Candidate,
    Comparison,
    Disagreement,
    ModelScore,
    Rows,
    confusions,
    slicings,
    value_text,
)

if TYPE_CHECKING:
    from pareta_client import EvalResult, EvalRun

MAX_DISAGREEMENTS = 100
"""Disagreements listed, the largest score difference first. Raised: a longer page."""
MAX_SHOWN_CHARS = 400
"""Characters shown of an input or an expected answer. Raised: more of the eval set is copied into the page."""


def with_details(
    comparison: Comparison,
    run: "EvalRun",
    found: Sequence[Candidate],
    rows: Rows | None = None,
    groups: Mapping[int, str] | None = None,
    slices: tuple[str, Mapping[int, str]] | None = None,
) -> Comparison:
    """Return the comparison with its details; `slices` is the slice column and its value by row index."""
    scores = tuple(_with_latency(score, run) for score in comparison.scores)
    pair = _deciding(comparison, {candidate.model: candidate for candidate in found})
    if pair is None:
        return comparison.model_copy(update={"scores": scores})
    column, named = slices or (None, None)
    disagreeing = _disagreeing(pair)
    return comparison.model_copy(
        update={
            "scores": scores,
            "deciding": (pair[0].model, pair[1].model),
            "disagreements": tuple(_disagreement(row, pair, rows) for row in disagreeing[:MAX_DISAGREEMENTS]),
            "disagreeing": len(disagreeing),
            "slicings": slicings(pair, rows, groups, named, column),
            "confusions": confusions(found, rows, groups),
        }
    )


def _deciding(comparison: Comparison, models: Mapping[str, Candidate]) -> tuple[Candidate, Candidate] | None:
    """Return the two models of the decision.

    - Recommended model and baseline.
    - No recommended model: the cheapest `open` model and the baseline.
    - No baseline: the best model and the first one not distinguishable from it, else the second best.
    """
    advice = comparison.recommendation
    if advice is not None:
        contenders = [standing.model for standing in (*advice.named("open"), *advice.standings)]
        candidate = advice.model if advice.model not in (None, advice.baseline) else contenders[0]
        return models[candidate or ""], models[advice.baseline]
    undecided = [pair.other for pair in comparison.differences if not pair.distinguishable]
    others = [*undecided, *(pair.other for pair in comparison.differences)]
    return (models[comparison.scores[0].model], models[others[0]]) if others else None


def _disagreeing(pair: tuple[Candidate, Candidate]) -> list[int]:
    """Return the rows with different scores of the two models, the largest difference first."""
    one, other = pair
    gaps = {row: abs(one.items[row].score - other.items[row].score) for row in one.items.keys() & other.items.keys()}
    return sorted((row for row, gap in gaps.items() if gap), key=lambda row: (-gaps[row], row))


def _disagreement(row: int, pair: tuple[Candidate, Candidate], rows: Rows | None) -> Disagreement:
    one, other = pair[0].items[row], pair[1].items[row]
    source = rows[row] if rows is not None and row < len(rows) else None
    expected = None if source is None else source.get("expected", source.get("expected_output"))
    return Disagreement(
        idx=row,
        best_score=one.score,
        other_score=other.score,
        best_prediction=one.prediction,
        other_prediction=other.prediction,
        # The end, because prompts of one eval set begin with the same text.
        input=None if source is None else value_text(source.get("input"))[-MAX_SHOWN_CHARS:],
        expected=None if source is None else value_text(expected)[:MAX_SHOWN_CHARS],
    )


def _with_latency(score: ModelScore, run: "EvalRun") -> ModelScore:
    result = next((each for each in run.results if each.model_id == score.model), None)
    median, p95 = (None, None) if result is None else _latency(result)
    return score.model_copy(update={"latency_p50_ms": median, "latency_p95_ms": p95})


def _latency(result: "EvalResult") -> tuple[float | None, float | None]:
    """Return the median and the 95th percentile of a model's latency (ms), if the service reports it by row."""
    reported = (item.get("latency_ms") for item in result.per_item)
    known = [float(ms) for ms in reported if isinstance(ms, int | float) and isfinite(ms) and ms >= 0]
    if not known:
        return None, None
    median, p95 = np.quantile(known, (0.5, 0.95))
    return float(median), float(p95)
