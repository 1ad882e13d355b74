"""Plot of quality against cost as an SVG in the light or dark theme of the reader."""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Literal

from pareta_report.comparison import Comparison, ModelScore
from pareta_report.render.labels import Place, Point, place
from pareta_report.render.plot_colours import FRONTIER, GRID, INK, MUTED, OPEN, STYLE, SURFACE, VARIABLES
from pareta_report.render.text import interval, percent, unit_cost

if TYPE_CHECKING:  # matplotlib takes most of a second to import
    from matplotlib.axes import Axes

Shape = Literal["wide", "narrow"]

# In inches. `narrow` is for phones: a scaled-down `wide` plot is unreadable there.
_SIZES: dict[Shape, tuple[float, float]] = {"wide": (8.4, 4.6), "narrow": (4.6, 4.4)}
_LOG_SCALE_RATIO = 5.0
"""Ratio of highest to lowest cost from which the axis is logarithmic. Raised: fewer logarithmic axes."""

_NOTHING = (
    f'<svg class="quality-against-cost" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 600 60"><style>{STYLE}</style>'
    '<text x="0" y="35" style="font: 13px system-ui, sans-serif; fill: var(--plot-muted)">'
    "No model has both a quality and a cost.</text></svg>"
)


@dataclass(frozen=True, slots=True)
class _Dot:
    """A model in the plot. Cost is in US dollars per 1,000 requests."""

    score: ModelScore
    cost: float
    quality: float

    @property
    def low(self) -> float:
        return self.quality if self.score.ci_low is None else self.score.ci_low

    @property
    def high(self) -> float:
        return self.quality if self.score.ci_high is None else self.score.ci_high

    @property
    def cost_low(self) -> float:
        low = self.score.cost_low_micro_usd
        return self.cost if low is None else low / 1_000

    @property
    def cost_high(self) -> float:
        high = self.score.cost_high_micro_usd
        return self.cost if high is None else high / 1_000

    @property
    def colour(self) -> str:
        return FRONTIER if self.score.kind == "frontier" else OPEN


def quality_against_cost(comparison: Comparison, shape: Shape = "wide") -> str:
    """Return a plot of every model with a quality and a cost as an SVG element.

    Intervals are 95 %. A line joins the models of the Pareto front, which have a ring. The SVG depends on the
    comparison and the shape alone.
    """
    dots = _dots(comparison)
    return _themed(_drawn(dots, shape), dots, comparison.name) if dots else _NOTHING


def missing(comparison: Comparison) -> list[str]:
    """Return the models that are not drawn because their quality or cost is unknown."""
    return [s.model for s in comparison.scores if s.mean_cost_micro_usd is None or s.quality is None]


def unnamed(comparison: Comparison, shape: Shape = "wide") -> list[str]:
    """Return the models whose point has no room for a label."""
    labelled = set(re.findall(r"@(\d+)@", _drawn(dots, shape))) if (dots := _dots(comparison)) else set()
    return [dot.score.model for number, dot in enumerate(dots) if str(number) not in labelled]


def _dots(comparison: Comparison) -> list[_Dot]:
    return [
        _Dot(score, score.mean_cost_micro_usd / 1_000, score.quality)
        for score in comparison.scores
        if score.mean_cost_micro_usd is not None and score.quality is not None
    ]


def _drawn(dots: Sequence[_Dot], shape: Shape) -> str:
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": shape, "font.size": 9.5}):
        figure = Figure(figsize=_SIZES[shape], dpi=72)
        FigureCanvasSVG(figure)
        width, height = _SIZES[shape]
        axes = figure.add_axes((0.72 / width, 0.55 / height, 1 - 0.9 / width, 1 - 0.7 / height))
        _dress(axes, dots)
        _draw_front(axes, dots)
        for number, dot in enumerate(dots):
            _draw_dot(axes, dot, number)
        _draw_names(axes, dots)
        svg = io.StringIO()
        figure.savefig(svg, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return svg.getvalue()


def _dress(axes: "Axes", dots: Sequence[_Dot]) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    costs = [dot.cost for dot in dots]
    low, high = min(dot.low for dot in dots), max(dot.high for dot in dots)
    room = max((high - low) * 0.12, 0.01)
    axes.set_ylim(max(low - room, -0.06), min(high + room, 1.06))
    if min(costs) > 0 and max(costs) / min(costs) >= _LOG_SCALE_RATIO:
        axes.set_xscale("log")
        # A lower bound of 0 is outside a logarithmic axis: the bar ends at the edge.
        axes.set_xlim(min(costs) / 1.6, max(costs) * 1.6)
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=12))
        axes.xaxis.set_minor_locator(NullLocator())
    else:
        room = (max(costs) - min(costs)) * 0.15 or max(costs) * 0.5 or 1.0
        axes.set_xlim(max(min(costs) - room, -0.05 * max(costs)), max(costs) + room)
        axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.xaxis.set_major_formatter(FuncFormatter(_tick))
    axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.yaxis.set_major_formatter(FuncFormatter(_share))
    axes.set_xlabel("cost per 1,000 requests, US dollars", color=MUTED)
    axes.set_ylabel("quality, 95 % interval", color=MUTED)
    axes.grid(color=GRID, linewidth=0.8)
    axes.tick_params(colors=MUTED, length=0, pad=6)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)


def _tick(value: float, _: object) -> str:
    """Return a tick of the cost axis without an exponent; ticks keep the digits in which they differ."""
    import numpy as np

    return np.format_float_positional(value, precision=6, fractional=False, trim="-")


def _share(value: float, _: object) -> str:
    # The axis extends above 100 % to leave room for the ring of a point.
    return f"{100 * value:.4g} %" if -1e-9 <= value <= 1 + 1e-9 else ""


def _draw_front(axes: "Axes", dots: Sequence[_Dot]) -> None:
    front = sorted((dot.cost, dot.quality) for dot in dots if dot.score.on_pareto_front)
    costs, qualities = [cost for cost, _ in front], [quality for _, quality in front]
    # In steps: a budget buys the best model within it, not a mixture of two.
    axes.plot(costs, qualities, color=MUTED, linewidth=1.2, dashes=(4, 3), drawstyle="steps-post", zorder=2)


def _draw_dot(axes: "Axes", dot: _Dot, number: int) -> None:
    axes.plot([dot.cost] * 2, [dot.low, dot.high], color=dot.colour, linewidth=2, alpha=0.45, zorder=3)
    axes.plot([dot.cost_low, dot.cost_high], [dot.quality] * 2, color=dot.colour, linewidth=2, alpha=0.45, zorder=3)
    marker = "D" if dot.score.kind == "frontier" else "o"
    if dot.score.on_pareto_front:
        axes.plot([dot.cost], [dot.quality], marker, ms=13, mfc="none", mec=dot.colour, mew=1.2, zorder=4)
    (drawn,) = axes.plot([dot.cost], [dot.quality], marker, ms=7, mfc=dot.colour, mec=SURFACE, mew=1, zorder=5)
    drawn.set_gid(f"dot-{number}")


def _draw_names(axes: "Axes", dots: Sequence[_Dot]) -> None:
    """Draw a placeholder for each label: names are untrusted and may contain characters that matplotlib cannot set."""
    box = axes.get_window_extent()
    pixels = [axes.transData.transform([(d.cost, d.quality), (d.cost, d.low), (d.cost, d.high)]) for d in dots]
    points = [Point(p[0][0] - box.x0, p[0][1] - box.y0, p[1][1] - box.y0, p[2][1] - box.y0) for p in pixels]
    order = sorted(
        range(len(dots)), key=lambda i: (not dots[i].score.on_pareto_front, dots[i].score.kind != "frontier", i)
    )
    names = [_short(dots[i].score.model) for i in order]
    for i, spot in zip(order, place([points[i] for i in order], names, box.width, box.height), strict=True):
        if spot is not None:
            _write(axes, spot, f"@{i}@", bold=dots[i].score.on_pareto_front)


def _write(axes: "Axes", spot: Place, token: str, *, bold: bool) -> None:
    box = axes.get_window_extent()
    axes.text(
        spot.x / box.width,
        spot.y / box.height,
        token,
        transform=axes.transAxes,
        color=INK if bold else MUTED,
        fontweight="bold" if bold else "normal",
        ha={"start": "left", "middle": "center", "end": "right"}[spot.anchor],
        va="center_baseline",
        zorder=6,
    )


def _short(name: str, max_chars: int = 28) -> str:
    return name if len(name) <= max_chars else f"{name[: max_chars - 1]}…"


def _themed(svg: str, dots: Sequence[_Dot], title: str) -> str:
    """Return a standalone SVG file as an element of a page: themed, titled, without prolog and unused ids."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style type=\"text/css\">.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"#00000[1-6]", lambda colour: f"var(--plot-{VARIABLES[colour[0]]})", svg)
    svg = re.sub(
        r"font: ((?:\d+|bold) )?([\d.]+)px[^;\"]*",
        lambda font: f"font: {font[1] or ''}{font[2]}px system-ui, sans-serif",
        svg,
    )
    svg = re.sub(r'<g id="dot-(\d+)">', lambda dot: f"<g><title>{_xml(_tooltip(dots[int(dot[1])]))}</title>", svg)
    svg = re.sub(r"@(\d+)@", lambda token: _xml(_short(dots[int(token[1])].score.model)), svg)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    label = _xml(f"Quality against cost: {title}")
    head = f'<svg class="quality-against-cost" role="img" aria-label="{label}"'
    return svg.replace("<svg", head, 1).replace("<defs>", f"<style>{STYLE}</style><defs>", 1).strip()


def _tooltip(dot: _Dot) -> str:
    ci = f" ({interval(dot.score.ci_low, dot.score.ci_high)})" if dot.score.ci_low is not None else ""
    cost = unit_cost(dot.score.mean_cost_micro_usd)
    return f"{dot.score.model}: {percent(dot.quality)}{ci}, {cost} per 1,000 requests"


def _xml(text: str) -> str:
    # Control characters are invalid in XML, escaped or not.
    return escape(re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]", "�", text), quote=True)
