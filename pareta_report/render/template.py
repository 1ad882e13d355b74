"""Environment and functions of the page templates. Autoescape is on: names, documents and answers are untrusted."""

import base64
import hashlib
import re
from datetime import datetime
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from pareta_report.comparison import Comparison, MeasuredQuality, ModelScore
from pareta_report.render import text as wording
from pareta_report.render.files import MARK
from pareta_report.render.plot import missing, quality_against_cost, unnamed
from pareta_report.render.text import UNKNOWN

MARKS = {"right": "✓", "wrong": "✗", "failed": "!", "answered": "•", "pending": "…"}
CLIPPED_CHARS = 200
"""Characters from which a text is clipped. Raised: wider tables."""
MAX_UNFOLDED = 3
"""Number of comparisons up to which each is unfolded on the page. Raised: longer pages, also in print."""
WORD_MOOD = {"as good": "good", "worse": "bad", "open": "open"}


@cache
def environment() -> Environment:
    """Return the environment in which the page is rendered."""
    templates = Environment(
        loader=PackageLoader("pareta_report.render"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.globals.update(
        words=wording,
        marks=MARKS,
        mark=Markup(MARK),  # noqa: S704 - our own text
        word_mood=WORD_MOOD,
        max_unfolded=MAX_UNFOLDED,
        style=Markup(_asset("page.css")),  # noqa: S704 - our own file
        script=Markup(_asset("page.js")),  # noqa: S704 - our own file
        **{function.__name__: function for function in _FUNCTIONS},
    )
    return templates


def script_hash() -> str:
    """Return the hash that allows the script of the page, and no other, in its content security policy."""
    return base64.b64encode(hashlib.sha256(_asset("page.js").encode()).digest()).decode()


def plot(comparison: Comparison, shape: str) -> Markup:
    """Return the plot of a comparison, with escaped text."""
    svg = quality_against_cost(comparison, "narrow" if shape == "narrow" else "wide")
    return Markup(svg)  # noqa: S704 - escaped where it is drawn


def decision(comparison: Comparison) -> str:
    """Return the recommendation in one sentence: model, saving and largest loss of quality."""
    advice = comparison.recommendation
    return _first(comparison.verdict.sentence) if advice is None else advice.sentence


def reasons(comparison: Comparison) -> str:
    """Return the reasons as a paragraph: the verdict on each model, and the open questions."""
    verdict = comparison.verdict
    against_baseline = (verdict.against_baseline or "").removeprefix(decision(comparison)).strip()
    sentence = verdict.sentence.removeprefix(decision(comparison)).strip()
    return " ".join(part for part in (against_baseline, sentence) if part)


def _first(text: str) -> str:
    """Return the first sentence; a full stop within a number or a name does not end it."""
    return re.split(r"(?<=[.!?])\s+(?=[A-Z])", text, maxsplit=1)[0]


def milliseconds(latency: float | None) -> str:
    """Format a latency: in ms below one second, else in s."""
    if latency is None:
        return UNKNOWN
    return f"{latency / 1000:.1f}\u00a0s" if latency >= 1000 else f"{latency:.0f}\u00a0ms"


def against(comparison: Comparison, model: str) -> str:
    """Return the verdict on a model against the baseline, or against the best model without a baseline."""
    if comparison.recommendation is None:
        return comparison.standing(model) or UNKNOWN
    words = {standing.model: standing.word for standing in comparison.recommendation.standings}
    return words.get(model, "baseline" if model == comparison.baseline else UNKNOWN)


def on_front(score: ModelScore) -> str:
    """Return whether a model is on the Pareto front, as text."""
    if score.on_pareto_front:
        return "on the front"
    return f"dominated by {score.dominated_by}" if score.dominated_by else UNKNOWN


def saved(share: float | None) -> str:
    """Format a saving against the baseline; a negative one as a multiple of the baseline cost."""
    if share is None:
        return UNKNOWN
    return wording.percent(share) if share >= 0 else f"costs {1 - share:.1f} ×"


def scale_of(comparison: Comparison) -> tuple[float, float]:
    """Return the ends of the scale for the intervals of a comparison."""
    known = [s for s in comparison.scores if s.quality is not None]
    lows = [s.quality if s.ci_low is None else s.ci_low for s in known]
    highs = [s.quality if s.ci_high is None else s.ci_high for s in known]
    return min((x for x in lows if x is not None), default=0.0), max((x for x in highs if x is not None), default=1.0)


def scaled(value: float, low: float, high: float) -> str:
    """Return the position of a value between `low` and `high`, in per cent."""
    return f"{100 * (value - low) / (high - low):.2f}"


def when(moment: datetime) -> str:
    """Format a time to the minute, with its time zone if it has one."""
    return f"{moment:%d %B %Y, %H:%M %Z}".strip().lstrip("0")


def figure(number: int | None) -> str:
    """Format an integer."""
    return UNKNOWN if number is None else f"{number:,}"


def probability(p: float | None) -> str:
    """Format a p value; below 0.001 as `< 0.001`."""
    if p is None:
        return UNKNOWN
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def counted(quality: MeasuredQuality) -> str:
    """Return the rows behind a measured quality, and the counting of rows without an answer, as text."""
    parts = [f"{quality.right:,} right of {quality.n:,}"]
    if quality.failed:
        parts.append(f"{quality.failed:,} failed, counted as wrong")
    if blank := quality.unanswered - quality.failed:
        parts.append(f"{blank:,} blank, counted as wrong")
    if quality.pending:
        parts.append(f"{quality.pending:,} pending, not counted")
    return "; ".join(parts)


def clipped(text: str | None) -> str:
    """Return a text, clipped after `CLIPPED_CHARS`."""
    shown = text or ""
    return shown if len(shown) <= CLIPPED_CHARS else f"{shown[:CLIPPED_CHARS]}…"


def _asset(name: str) -> str:
    return files("pareta_report.render").joinpath("templates", name).read_text(encoding="utf-8")


_FUNCTIONS = (
    plot,
    missing,
    unnamed,
    decision,
    reasons,
    against,
    milliseconds,
    on_front,
    saved,
    scale_of,
    scaled,
    when,
    figure,
    probability,
    counted,
    clipped,
)
