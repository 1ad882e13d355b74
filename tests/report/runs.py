"""Eval runs as the service sends them, built from scores."""

from collections.abc import Sequence

import numpy as np

from pareta_client.models.evals import EvalRun
from pareta_report.stats import significance
from pareta_report.stats.bounded_mean import Scores


def p_of_no_difference(differences: Scores, groups: Sequence[str] | None = None) -> float:
    """Return the two-sided p value of "the mean paired difference is zero", where every row has an answer."""
    return significance.p_of_gaps(differences, differences, groups)


def scored(
    model: str,
    scores: Sequence[float | None],
    *,
    kind: str | None = "open",
    cost: float | None = 100,
    predictions: Sequence[str] | None = None,
    **published: object,
) -> dict[str, object]:
    """Return one model's result with per-row scores; None is a row that errored."""
    items = [
        {"idx": idx, "score": score, "prediction": predictions[idx] if predictions else f"answer {idx}", "error": None}
        if score is not None
        else {"idx": idx, "score": None, "prediction": None, "error": "timed out"}
        for idx, score in enumerate(scores)
    ]
    errors = sum(score is None for score in scores)
    figures = {"n_succeeded": len(scores) - errors, "error_count": errors, "mean_cost_micro_usd": cost}
    return {"model_id": model, "kind": kind, **figures, "per_item": items, **published}


def items(result: dict[str, object]) -> list[dict[str, object]]:
    """Return the per-row scores of a result, to add to them what a service may tell besides."""
    found = result["per_item"]
    assert isinstance(found, list)
    return found


def published(
    model: str, quality: float | None, low: float | None = None, high: float | None = None, **more: object
) -> dict[str, object]:
    """Return one model's result without per-row scores."""
    figures = {"quality_mean": quality, "quality_ci_low": low, "quality_ci_high": high, "mean_cost_micro_usd": 100}
    return {"model_id": model, "kind": "open", "n_succeeded": 100, "error_count": 0, **figures, **more}


def run(*results: dict[str, object], status: str = "completed", **fields: object) -> EvalRun:
    """Return a run with these results."""
    about = {"id": "run_1", "eval_set_id": "set_1", "status": status, **fields}
    return EvalRun.model_validate({"run": about, "results": list(results)})


def right(n_right: int, n: int) -> list[float]:
    """Return right-or-wrong scores, the right ones first."""
    return [1.0] * n_right + [0.0] * (n - n_right)


def graders(rng: np.random.Generator, rows: int, *qualities: float) -> list[list[float]]:
    """Return right-or-wrong scores of models that find the same rows hard, each right as often as its quality says."""
    hard = rng.normal(size=rows)
    luck = rng.normal(size=(len(qualities), rows))
    latent = (hard + luck) / np.sqrt(2)
    from scipy.stats import norm

    return [(own < norm.ppf(q)).astype(float).tolist() for own, q in zip(latent, qualities, strict=True)]
