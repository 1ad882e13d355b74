"""Years of weekly looks at models on the same rows, quiet ones and such with a drop."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pareta_report.stats.e_values import WATCH_ALPHA, RunScores, e_bh, e_values, surprises

WEEKS = 52


def year(
    rng: np.random.Generator,
    rows: int,
    *,
    alike: bool = True,
    drop: float = 0.0,
    after: int = WEEKS,
    errors: float = 0.0,
    weeks: int = WEEKS,
) -> list[RunScores]:
    """Return a model's looks: right in 90 of 100 answers, `drop` less often from the run after `after` runs on.

    Rows are equally hard, or (not `alike`) most are certain and some are luck. `errors` is the largest share of rows
    without an answer; each week has one of its own.
    """
    right = np.full(rows, 0.9) if alike else rng.beta(0.9, 0.1, rows)
    looks = []
    for week in range(weeks):
        chance = np.clip(right - (drop if week >= after else 0.0), 0, 1)
        scores = (rng.random(rows) < chance).astype(float)
        looks.append(_run_scores(scores, rng.random(rows) >= errors * rng.random()))
    return looks


def alarms(series: Sequence[Sequence[RunScores]]) -> NDArray[np.bool_]:
    """Return at which looks (after the first) e-BH over these models alarms."""
    evidence = np.array([e_values(surprises(looks)) for looks in series])
    return np.array([min(e_bh(at.tolist())) <= WATCH_ALPHA for at in evidence.T])


def delay(looks: Sequence[RunScores], after: int) -> float:
    """Return the number of looks from the drop to the alarm; infinite without one."""
    found = np.flatnonzero(alarms([looks])[after - 1 :])
    return float(found[0] + 1) if found.size else float("inf")


def _run_scores(scores: NDArray[np.float64], answered: NDArray[np.bool_]) -> RunScores:
    return RunScores(
        {row: float(scores[row]) for row in np.flatnonzero(answered).tolist()}, scores.size, int((~answered).sum())
    )
