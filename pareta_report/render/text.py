"""Format of numbers in tables and sentences: percentages, points, money, durations and lists."""

from collections.abc import Sequence

from pareta_batch import dollars

UNKNOWN = "–"


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


def count(number: int, noun: str) -> str:
    """Format a number with its noun, in the plural unless the number is 1."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def about(number: int | None) -> str:
    """Format an estimate with two significant digits."""
    return UNKNOWN if number is None else f"{float(f'{number:.2g}'):,.0f}"


def listing(names: Sequence[str], max_names: int = 4) -> str:
    """Join names with commas and `and`; the number of names beyond `max_names` replaces them."""
    shown = list(names[:max_names]) + ([count(len(names) - max_names, "other")] if len(names) > max_names else [])
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
