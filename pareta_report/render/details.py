"""What a reader asks after the verdict: the pair that decides, where it disagrees, results in parts, and latency."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

from pareta_report.comparison import Candidate, Comparison, Disagreement, ModelScore, Rows, confusions, said, slicings

if TYPE_CHECKING:
    from pareta_client import EvalResult, EvalRun

MOST_DISAGREEMENTS = 100
"""Disagreements that are listed, the largest gap first. Raised: a longer page."""
MOST_SHOWN = 400
"""Characters of an input or an expected answer that are shown. Raised: the page becomes a copy of the eval set."""


def with_details(
    comparison: Comparison,
    run: "EvalRun",
    found: Sequence[Candidate],
    rows: Rows | None = None,
    groups: Mapping[int, str] | None = None,
    slices: tuple[str, Mapping[int, str]] | None = None,
) -> Comparison:
    """Return the comparison with its details; `slices` is a column of the rows and its value by the row's place."""
    scores = tuple(_with_latency(score, run) for score in comparison.scores)
    pair = _deciding(comparison, {candidate.model: candidate for candidate in found})
    if pair is None:
        return comparison.model_copy(update={"scores": scores})
    column, named = slices or (None, None)
    apart = _apart(pair)
    return comparison.model_copy(
        update={
            "scores": scores,
            "deciding": (pair[0].model, pair[1].model),
            "disagreements": tuple(_disagreement(row, pair, rows) for row in apart[:MOST_DISAGREEMENTS]),
            "disagreeing": len(apart),
            "slicings": slicings(pair, rows, groups, named, column),
            "confusions": confusions(found, rows, groups),
        }
    )


def _deciding(comparison: Comparison, models: Mapping[str, Candidate]) -> tuple[Candidate, Candidate] | None:
    """Return the two models that one decides between.

    The recommended model against the baseline; where none is recommended in its place, the cheapest open question;
    without a baseline the best model against the one that its verdict is about, or the second best.
    """
    advice = comparison.recommendation
    if advice is not None:
        in_question = [standing.model for standing in (*advice.named("open"), *advice.standings)]
        candidate = advice.model if advice.model not in (None, advice.baseline) else in_question[0]
        return models[candidate or ""], models[advice.baseline]
    level = [pair.other for pair in comparison.differences if not pair.distinguishable]
    others = [*level, *(pair.other for pair in comparison.differences)]
    return (models[comparison.scores[0].model], models[others[0]]) if others else None


def _apart(pair: tuple[Candidate, Candidate]) -> list[int]:
    """Return the rows for which two models got different scores, the largest gap first."""
    one, other = pair
    gaps = {row: abs(one.items[row].score - other.items[row].score) for row in one.items.keys() & other.items.keys()}
    return sorted((row for row, gap in gaps.items() if gap), key=lambda row: (-gaps[row], row))


def _disagreement(row: int, pair: tuple[Candidate, Candidate], rows: Rows | None) -> Disagreement:
    one, other = pair[0].items[row], pair[1].items[row]
    asked = rows[row] if rows is not None and row < len(rows) else None
    expected = None if asked is None else asked.get("expected", asked.get("expected_output"))
    return Disagreement(
        idx=row,
        best_score=one.score,
        other_score=other.score,
        best_prediction=one.prediction,
        other_prediction=other.prediction,
        # The end, because prompts begin alike.
        input=None if asked is None else said(asked.get("input"))[-MOST_SHOWN:],
        expected=None if asked is None else said(expected)[:MOST_SHOWN],
    )


def _with_latency(score: ModelScore, run: "EvalRun") -> ModelScore:
    result = next((each for each in run.results if each.model_id == score.model), None)
    half, most = (None, None) if result is None else _latency(result)
    return score.model_copy(update={"latency_p50_ms": half, "latency_p95_ms": most})


def _latency(result: "EvalResult") -> tuple[float | None, float | None]:
    """Return the median and the 95th percentile of a model's latency, where the service tells `latency_ms` by row."""
    told = (item.get("latency_ms") for item in result.per_item)
    known = [float(ms) for ms in told if isinstance(ms, int | float) and isfinite(ms) and ms >= 0]
    if not known:
        return None, None
    half, most = np.quantile(known, (0.5, 0.95))
    return float(half), float(most)
