"""Quality over time: is a model worse on the same rows than when the watch began, and what the series looks like."""

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from pareta_report.candidates import candidates
from pareta_report.pairs import since
from pareta_report.records import Difference
from pareta_report.wording import interval, points

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pareta_client.models.evals import EvalRun

MOST_TICKS = 8
LABELLED = len("2026-11-01T06:00")


class QualityPoint(BaseModel):
    """A model's quality on one occasion, from 0 to 1, with its 95 % interval."""

    model_config = ConfigDict(frozen=True)

    occasion: str
    model: str
    run_id: str
    quality: float | None
    ci_low: float | None = None
    ci_high: float | None = None


class Drift(BaseModel):
    """How every model did against the reference run, on the rows that both runs have."""

    model_config = ConfigDict(frozen=True)

    reference: str
    run_id: str
    changes: tuple[Difference, ...]

    @property
    def drifted(self) -> tuple[Difference, ...]:
        """The models that are worse, distinguishably so after correction for the number of models."""
        return tuple(change for change in self.changes if change.distinguishable and change.difference < 0)

    def __str__(self) -> str:
        if self.reference == self.run_id:
            return "The series begins with this run."
        if not self.changes:
            return "No model was scored in both runs."
        return "; ".join(map(_said, self.drifted or self.changes)) + "."


def drift_since(reference: "EvalRun", now: "EvalRun", groups: Mapping[int, str] | None = None) -> Drift:
    """Compare a run with an earlier one on the same rows: paired where there are per-row scores, Holm over models."""
    changes = since(candidates(reference, groups), candidates(now, groups), groups)
    return Drift(reference=str(reference.id), run_id=str(now.id), changes=changes)


def quality_points(occasion: str, run: "EvalRun", groups: Mapping[int, str] | None = None) -> tuple[QualityPoint, ...]:
    """Give each model's quality in a run, errored rows counting as 0; rows of one group count as one sample."""
    return tuple(
        QualityPoint(
            occasion=occasion, model=c.model, run_id=str(run.id), quality=c.quality, ci_low=c.low, ci_high=c.high
        )
        for c in candidates(run, groups)
    )


def quality_over_time(history: Sequence[QualityPoint]) -> str:
    """Draw the series of every model, with 95 % intervals, as a standalone SVG; the same for the same history."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    occasions = list(dict.fromkeys(point.occasion for point in history))
    # Names come from outside: a dollar in one is no formula.
    with mpl.rc_context({"svg.hashsalt": "quality over time", "text.parse_math": False}):
        figure = Figure(figsize=(8.4, 4.2), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        for model in dict.fromkeys(point.model for point in history):
            _draw_series(axes, model, [point for point in history if point.model == model], occasions)
        shown = range(0, len(occasions), -(-len(occasions) // MOST_TICKS))
        axes.set_xticks(list(shown), [occasions[place][:LABELLED].replace("T", "\n") for place in shown])
        axes.set_ylabel("quality, %, with 95 % interval")
        axes.grid(alpha=0.3)
        axes.spines[:].set_visible(False)
        figure.legend(loc="outside upper center", ncols=4, frameon=False)
        svg = io.StringIO()
        figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    return svg.getvalue()


def _draw_series(axes: "Axes", model: str, points: Sequence[QualityPoint], occasions: Sequence[str]) -> None:
    scored = [(point, point.quality) for point in points if point.quality is not None]
    at = [occasions.index(point.occasion) for point, _ in scored]
    (line,) = axes.plot(at, [100 * quality for _, quality in scored], marker="o", label=model)
    low = [100 * (quality if point.ci_low is None else point.ci_low) for point, quality in scored]
    high = [100 * (quality if point.ci_high is None else point.ci_high) for point, quality in scored]
    axes.fill_between(at, low, high, color=line.get_color(), alpha=0.12)


def _said(change: Difference) -> str:
    bounds = interval(change.ci_low, change.ci_high)
    if change.distinguishable:
        worse = "worse" if change.difference < 0 else "better"
        return f"{change.model} is {worse} by {points(abs(change.difference))} points (change {bounds})"
    return f"{change.model} is not distinguishable from the reference (change {bounds})"
