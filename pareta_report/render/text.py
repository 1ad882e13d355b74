"""Format of numbers and results in tables and sentences: percentages, points, money, durations, lists, verdicts."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from pareta_batch import dollars, quantity

if TYPE_CHECKING:  # the comparison uses these formats
    from pareta_report.comparison import Comparison, MeasuredQuality, ModelScore

UNKNOWN = "–"
CLIPPED_CHARS = 200
"""Characters from which a text is clipped. Raised: wider tables."""


def percent(share: float | None) -> str:
    """Format a share (0 to 1) as a percentage with one decimal."""
    return UNKNOWN if share is None else f"{100 * share:.1f}\u00a0%".replace("-", "−")


def points(difference: float | None) -> str:
    """Format a difference of shares in percentage points."""
    return UNKNOWN if difference is None else f"{100 * difference:.1f}".replace("-", "−")


def interval(low: float | None, high: float | None) -> str:
    """Format an interval of shares."""
    return UNKNOWN if low is None or high is None else f"{points(low)} to {points(high)}\u00a0%"


def money(micro_usd: float | None) -> str:
    """Format an amount in dollars for a table."""
    return UNKNOWN if micro_usd is None else dollars(micro_usd)


def unit_cost(micro_usd: float | None) -> str:
    """Format a mean cost per request (micro-USD) as dollars per 1,000 requests."""
    return UNKNOWN if micro_usd is None else money(1_000 * micro_usd)


def duration(seconds: float | None) -> str:
    """Format a duration in its two largest units."""
    if seconds is None:
        return UNKNOWN
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, remainder = divmod(round(seconds), 60)
    return f"{minutes} min {remainder} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def about(number: int | None) -> str:
    """Format an estimate with two significant digits."""
    return UNKNOWN if number is None else f"{float(f'{number:.2g}'):,.0f}"


def listing(names: Sequence[str], max_names: int = 4) -> str:
    """Join names with commas and `and`; the number of names beyond `max_names` replaces them."""
    shown = list(names[:max_names]) + ([quantity(len(names) - max_names, "other")] if len(names) > max_names else [])
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def decision(comparison: "Comparison") -> str:
    """Return the recommendation in one sentence: model, saving and largest loss of quality."""
    advice = comparison.recommendation
    return _first(comparison.verdict.sentence) if advice is None else advice.sentence


def reasons(comparison: "Comparison") -> str:
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


def against(comparison: "Comparison", model: str) -> str:
    """Return the verdict on a model against the baseline, or against the best model without a baseline."""
    if comparison.recommendation is None:
        return comparison.standing(model) or UNKNOWN
    words = {standing.model: standing.word for standing in comparison.recommendation.standings}
    return words.get(model, "baseline" if model == comparison.baseline else UNKNOWN)


def on_front(score: "ModelScore") -> str:
    """Return whether a model is on the Pareto front, as text."""
    if score.on_pareto_front:
        return "on the front"
    return f"dominated by {score.dominated_by}" if score.dominated_by else UNKNOWN


def saved(share: float | None) -> str:
    """Format a saving against the baseline; a negative one as a multiple of the baseline cost."""
    if share is None:
        return UNKNOWN
    return percent(share) if share >= 0 else f"costs {1 - share:.1f} ×"


def scale_of(comparison: "Comparison") -> tuple[float, float]:
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


def counted(quality: "MeasuredQuality") -> str:
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
