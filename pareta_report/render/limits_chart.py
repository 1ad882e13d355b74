"""Limits over time as an SVG in the colours of the page: calls in flight and calls per second."""

from collections.abc import Sequence
from itertools import pairwise

from pareta_batch import Limits

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 840, 180, 60, 10, 24


def limits_over_time(limits: Sequence[Limits], until_s: float) -> str:
    """Return an SVG element: the limit of calls in flight, below it the limit of calls per second.

    A gap in the lower line is a time without a rate limit. The text is empty if fewer than two limits are known.
    """
    if len(limits) < 2:
        return ""
    end = max(until_s, limits[-1].at_s, 1e-3)
    lines = [
        _chart([(each.at_s, float(each.in_flight)) for each in limits], end, "calls in flight", 0),
        _chart([(each.at_s, each.per_s) for each in limits], end, "calls per second", HEIGHT),
    ]
    label = "Limits of calls in flight and of calls per second over time"
    return (
        f'<svg class="limits" role="img" aria-label="{label}" xmlns="http://www.w3.org/2000/svg" '
        f'viewBox="0 0 {WIDTH} {2 * HEIGHT}" style="font:12px system-ui,sans-serif;fill:currentColor">'
        f"{''.join(lines)}</svg>"
    )


def _chart(points: Sequence[tuple[float, float | None]], end: float, title: str, down: int) -> str:
    highest = max((value for _, value in points if value is not None), default=0.0)
    if not highest:
        return ""
    floor = down + HEIGHT - BOTTOM

    def x(at: float) -> float:
        return round(LEFT + (WIDTH - LEFT - 10) * at / end, 1)

    def y(value: float) -> float:
        return round(floor - (HEIGHT - BOTTOM - TOP - 14) * value / highest, 1)

    steps = [
        f"M{x(at)} {y(value)}H{x(until)}"
        for (at, value), (until, _) in pairwise([*points, (end, None)])
        if value is not None
    ]
    return (
        f'<text x="{LEFT}" y="{down + TOP + 6}">{title}, {end:,.0f} s</text>'
        f'<text x="{LEFT - 6}" y="{y(highest) + 4}" text-anchor="end">{highest:,.4g}</text>'
        f'<text x="{LEFT - 6}" y="{floor}" text-anchor="end">0</text>'
        f'<path d="M{LEFT} {floor}H{WIDTH - 10}" stroke="currentColor" stroke-opacity=".25" fill="none"/>'
        f'<path d="{"".join(steps)}" stroke="currentColor" stroke-width="2" fill="none"/>'
    )
