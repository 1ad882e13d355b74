"""The page's templates and what they may call. Autoescape is on: names, documents and answers come from outside."""

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
CLIPPED = 200
MOST_UNFOLDED = 3
"""Comparisons up to which each stands open on the page. Raised: longer pages, on paper as well."""
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
        most_unfolded=MOST_UNFOLDED,
        style=Markup(_asset("page.css")),  # noqa: S704 - our own file
        script=Markup(_asset("page.js")),  # noqa: S704 - our own file
        **{function.__name__: function for function in _FUNCTIONS},
    )
    return templates


def script_hash() -> str:
    """Return the hash by which the page's content policy knows our script; no other one may run."""
    return base64.b64encode(hashlib.sha256(_asset("page.js").encode()).digest()).decode()


def plot(comparison: Comparison, shape: str) -> Markup:
    """Draw a comparison; the drawing escapes its own texts."""
    svg = quality_against_cost(comparison, "narrow" if shape == "narrow" else "wide")
    return Markup(svg)  # noqa: S704 - escaped where it is drawn


def decision(comparison: Comparison) -> str:
    """Return the one sentence to act on: what to use, what that saves and what it may cost in quality."""
    advice = comparison.recommendation
    return _first(comparison.verdict.sentence) if advice is None else advice.sentence


def reasons(comparison: Comparison) -> str:
    """Return the paragraph of reasons: what is shown of each model, and what is not."""
    verdict = comparison.verdict
    beside = (verdict.against_baseline or "").removeprefix(decision(comparison)).strip()
    sentence = verdict.sentence.removeprefix(decision(comparison)).strip()
    return " ".join(part for part in (beside, sentence) if part)


def _first(text: str) -> str:
    """Return the first sentence; a point within a number or a name ends none."""
    return re.split(r"(?<=[.!?])\s+(?=[A-Z])", text, maxsplit=1)[0]


def milliseconds(latency: float | None) -> str:
    """Write a latency: seconds from one second on."""
    if latency is None:
        return UNKNOWN
    return f"{latency / 1000:.1f}\u00a0s" if latency >= 1000 else f"{latency:.0f}\u00a0ms"


def against(comparison: Comparison, model: str) -> str:
    """Return the word for a model against the baseline, else against the best one."""
    if comparison.recommendation is None:
        return comparison.standing(model) or UNKNOWN
    words = {standing.model: standing.word for standing in comparison.recommendation.standings}
    return words.get(model, "baseline" if model == comparison.baseline else UNKNOWN)


def on_front(score: ModelScore) -> str:
    """Say whether another model beats it in both quality and cost."""
    if score.on_pareto_front:
        return "on the front"
    return f"dominated by {score.dominated_by}" if score.dominated_by else UNKNOWN


def saved(share: float | None) -> str:
    """Write a saving against the baseline; a negative one as how many times as much it costs."""
    if share is None:
        return UNKNOWN
    return wording.percent(share) if share >= 0 else f"{1 - share:.1f} × as much"


def scale_of(comparison: Comparison) -> tuple[float, float]:
    """Return the ends of the scale on which a comparison's intervals are drawn."""
    known = [s for s in comparison.scores if s.quality is not None]
    lows = [s.quality if s.ci_low is None else s.ci_low for s in known]
    highs = [s.quality if s.ci_high is None else s.ci_high for s in known]
    return min((x for x in lows if x is not None), default=0.0), max((x for x in highs if x is not None), default=1.0)


def scaled(value: float, low: float, high: float) -> str:
    """Return where a value lies between two others, in per cent."""
    return f"{100 * (value - low) / (high - low):.2f}"


def when(moment: datetime) -> str:
    """Write a moment to the minute, with its time zone when it has one."""
    return f"{moment:%d %B %Y, %H:%M %Z}".strip().lstrip("0")


def figure(number: int | None) -> str:
    """Write a whole number."""
    return UNKNOWN if number is None else f"{number:,}"


def probability(p: float | None) -> str:
    """Write a p value; smaller than a thousandth is only small."""
    if p is None:
        return UNKNOWN
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def counted(quality: MeasuredQuality) -> str:
    """Write which rows a measured quality rests on, and how those without an answer count."""
    parts = [f"{quality.right:,} right of {quality.n:,}"]
    if quality.failed:
        parts.append(f"{quality.failed:,} failed, counted as wrong")
    if blank := quality.unanswered - quality.failed:
        parts.append(f"{blank:,} blank, counted as wrong")
    if quality.pending:
        parts.append(f"{quality.pending:,} pending, not counted")
    return "; ".join(parts)


def clipped(text: str | None) -> str:
    """Write a text, cut when it is long."""
    said = text or ""
    return said if len(said) <= CLIPPED else f"{said[:CLIPPED]}…"


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
