"""Drift: tests for a drop in quality over a series of runs on the same rows, and a plot of the series."""

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from pareta_batch import Frozen
from pareta_report.comparison.candidates import candidates, membership
from pareta_report.comparison.results import Difference
from pareta_report.comparison.valid_results import Candidate
from pareta_report.render import PLOT_CREATOR, interval, percent, points
from pareta_report.stats import intervals
from pareta_report.stats.e_values import WATCH_ALPHA, RunScores, e_bh, evidence_of_drop
from pareta_report.stats.significance import standard_error_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pareta_client import EvalRun

MAX_TICKS = 8
"""Labels on the time axis. Raised: labels overlap."""
LABEL_CHARS = len("2026-11-01T06:00")
REFERENCE_RUNS = 4
"""Number of first runs whose mean is the reference of a change. Raised: less noise, complete later."""
UNAVAILABLE = 0.05
"""Share of rows without an answer above which a model is unavailable. Raised: fewer events."""


class QualityPoint(Frozen):
    """A model's quality (0 to 1) on the rows answered in one run of a series, with its 95 % interval."""

    occasion: str
    model: str
    run_id: str
    quality: float | None
    ci_low: float | None = None
    ci_high: float | None = None


class Unavailable(Frozen):
    """A model with rows without an answer: a signal separate from its quality."""

    model: str
    unanswered: float

    def __str__(self) -> str:
        return f"{self.model} left {percent(self.unanswered)} of the rows without an answer"


class Drift(Frozen):
    """Change of every model in the latest run of a series; `reference` is the id of the first run.

    A change is relative to the mean of the first runs, on the rows answered in both. `p_adjusted` and `distinguishable`
    use the evidence of the whole series and are valid at every look.
    """

    reference: str
    run_id: str
    changes: tuple[Difference, ...]
    unavailable: tuple[Unavailable, ...] = ()

    @property
    def drifted(self) -> tuple[Difference, ...]:
        """Models that are worse, by e-BH over the models. At most one series in twenty ever has a false alarm."""
        return tuple(change for change in self.changes if change.distinguishable and change.difference < 0)

    def __str__(self) -> str:
        unavailable = [f"{each}" for each in self.unavailable]
        if self.reference == self.run_id:
            return "; ".join(["The series begins with this run", *unavailable]) + "."
        if not self.changes and not unavailable:
            return "No model was scored in both runs."
        return "; ".join([*map(_sentence, self.drifted or self.changes), *unavailable]) + "."


SeriesScores = Mapping[str, Mapping[str, RunScores]]
"""Scores of a series, run id → model → scores, in order of time."""


def run_scores(run: "EvalRun", score_range: tuple[float, float] | None = None) -> dict[str, RunScores]:
    """Return each model's scores in a run, without the rows that have no answer."""
    return {found.model: _run_scores(found) for found in candidates(run, None, score_range)}


def drift_in(looks: SeriesScores, groups: Mapping[int, str] | None = None) -> Drift:
    """Compare the latest run of a series with the runs before it; a group of rows is one sample."""
    run_ids = list(looks)
    latest = looks[run_ids[-1]]
    series = {model: [looks[run][model] for run in run_ids if model in looks[run]] for model in latest}
    found = {model: change for model, each in series.items() if (change := _change(model, each, groups))}
    worse = e_bh([evidence_of_drop(series[model], groups) for model in found])
    better = e_bh([evidence_of_drop(series[model], groups, rise=True) for model in found])
    return Drift(
        reference=run_ids[0],
        run_id=run_ids[-1],
        changes=tuple(
            _judged(each, *p) for each, p in zip(found.values(), zip(worse, better, strict=True), strict=True)
        ),
        unavailable=tuple(
            Unavailable(model=model, unanswered=look.unanswered)
            for model, look in latest.items()
            if look.unanswered > UNAVAILABLE
        ),
    )


def quality_points(
    occurrence: str,
    run: "EvalRun",
    groups: Mapping[int, str] | None = None,
    score_range: tuple[float, float] | None = None,
) -> tuple[QualityPoint, ...]:
    """Return each model's quality in a run on the rows it answered; a group of rows is one sample."""
    return tuple(_point(occurrence, run, found, groups) for found in candidates(run, groups, score_range))


def _point(occurrence: str, run: "EvalRun", found: Candidate, groups: Mapping[int, str] | None) -> QualityPoint:
    quality, low, high = found.quality, found.low, found.high
    if found.items:
        rows = sorted(row for row, item in found.items.items() if not item.errored)
        quality = low = high = None
        if rows:
            scores = np.array([found.items[row].score for row in rows], dtype=np.float64)
            quality = float(scores.mean())
            low, high = intervals.of_mean(scores, membership(groups, rows))
    return QualityPoint(
        occasion=occurrence, model=found.model, run_id=str(run.id), quality=quality, ci_low=low, ci_high=high
    )


def _run_scores(found: Candidate) -> RunScores:
    if found.items:
        scores = {row: item.score for row, item in found.items.items() if not item.errored}
        return RunScores(scores, len(found.items), len(found.items) - len(scores))
    error = None if found.low is None or found.high is None else standard_error_of(found.low, found.high)
    return RunScores({}, found.n or 0, found.errors or 0, found.quality, error)


def _change(model: str, looks: Sequence[RunScores], groups: Mapping[int, str] | None) -> Difference | None:
    """Return the change of the latest look from the mean of the first ones, before the test."""
    *before, now = looks
    reference = before[:REFERENCE_RUNS]
    if now.mean is not None:
        means = [look.quality for look in reference if look.quality is not None]
        change = now.mean - sum(means) / len(means) if means else None
        return None if change is None else Difference(model=model, other=model, difference=change, method="published")
    earlier = {row: [look.scores[row] for look in reference if row in look.scores] for row in sorted(now.scores)}
    rows = [row for row, scores in earlier.items() if scores]
    if not rows:
        return None
    gaps = np.array([now.scores[row] - sum(earlier[row]) / len(earlier[row]) for row in rows], dtype=np.float64)
    low, high = intervals.of_difference(gaps, membership(groups, rows))
    return Difference(
        model=model,
        other=model,
        difference=float(gaps.mean()),
        ci_low=low,
        ci_high=high,
        n=len(rows),
        method="paired",
    )


def _judged(change: Difference, worse: float, better: float) -> Difference:
    p = worse if change.difference < 0 else better
    return change.model_copy(update={"p_adjusted": p, "distinguishable": p <= WATCH_ALPHA and change.difference != 0})


def quality_over_time(history: Sequence[QualityPoint]) -> str:
    """Return a plot of the series with 95 % intervals as a standalone SVG, which depends on the history alone."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    occasions = list(dict.fromkeys(point.occasion for point in history))
    # Names are untrusted: a dollar sign must not start a formula.
    with mpl.rc_context({"svg.hashsalt": "quality over time", "text.parse_math": False}):
        figure = Figure(figsize=(8.4, 4.2), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        for model in dict.fromkeys(point.model for point in history):
            _draw_series(axes, model, [point for point in history if point.model == model], occasions)
        shown = range(0, len(occasions), -(-len(occasions) // MAX_TICKS))
        axes.set_xticks(list(shown), [occasions[place][:LABEL_CHARS].replace("T", "\n") for place in shown])
        axes.set_ylabel("quality, %, with 95 % interval")
        axes.grid(alpha=0.3)
        axes.spines[:].set_visible(False)
        figure.legend(loc="outside upper center", ncols=4, frameon=False)
        svg = io.StringIO()
        figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": PLOT_CREATOR})
    return svg.getvalue()


def _draw_series(axes: "Axes", model: str, points: Sequence[QualityPoint], occasions: Sequence[str]) -> None:
    scored = [(point, point.quality) for point in points if point.quality is not None]
    at = [occasions.index(point.occasion) for point, _ in scored]
    (line,) = axes.plot(at, [100 * quality for _, quality in scored], marker="o", label=model)
    low = [100 * (quality if point.ci_low is None else point.ci_low) for point, quality in scored]
    high = [100 * (quality if point.ci_high is None else point.ci_high) for point, quality in scored]
    axes.fill_between(at, low, high, color=line.get_color(), alpha=0.12)


def _sentence(change: Difference) -> str:
    bounds = interval(change.ci_low, change.ci_high)
    if change.ci_low is None:
        bounds = f"{points(change.difference)} points"
    if change.distinguishable:
        worse = "worse" if change.difference < 0 else "better"
        return f"{change.model} is {worse} by {points(abs(change.difference))} points (change {bounds})"
    return f"{change.model} is not distinguishable from the reference (change {bounds})"
