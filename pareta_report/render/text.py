"""Numbers in words: percentages, points, money, time and lists, the same in every table and sentence."""

from collections.abc import Sequence

from pareta_batch import dollars

UNKNOWN = "–"


def percent(share: float | None) -> str:
    """Write a share of 1 as a percentage with one decimal."""
    return UNKNOWN if share is None else f"{100 * share:.1f}\u00a0%".replace("-", "−")


def points(difference: float | None) -> str:
    """Write a difference of shares in percentage points."""
    return UNKNOWN if difference is None else f"{100 * difference:.1f}".replace("-", "−")


def interval(low: float | None, high: float | None) -> str:
    """Write a 95 % interval of shares."""
    return UNKNOWN if low is None or high is None else f"{points(low)} to {points(high)}\u00a0%"


def money(micro_usd: float | None) -> str:
    """Return an amount in dollars for a cell of a table."""
    return UNKNOWN if micro_usd is None else dollars(micro_usd)


def unit_cost(micro_usd: float | None) -> str:
    """Write a mean cost per request as dollars per 1,000 requests."""
    return UNKNOWN if micro_usd is None else money(1_000 * micro_usd)


def duration(seconds: float | None) -> str:
    """Write a duration in the two units that matter."""
    if seconds is None:
        return UNKNOWN
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def count(number: int, noun: str) -> str:
    """Write a number with its noun, in the plural when it is not one."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def about(number: int | None) -> str:
    """Write a number to two digits: one that is an estimate should look like it."""
    return UNKNOWN if number is None else f"{float(f'{number:.2g}'):,.0f}"


def listing(names: Sequence[str], most: int = 4) -> str:
    """Join names as a sentence does; past `most` say how many more there are."""
    shown = list(names[:most]) + ([count(len(names) - most, "other")] if len(names) > most else [])
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
