"""Placement of the labels of a plot: no label overlaps another one or a point."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Anchor = Literal["start", "middle", "end"]

GAP = 11.0
"""Distance of a label from its point, in plot points. Raised: fewer labels fit."""
LINE_HEIGHT = 12.0
"""Height of a label, in plot points. Raised: fewer labels fit."""
LETTER_WIDTH = 5.9
"""Mean width of a character, in plot points: bold sans serif of 9 to 10 points. Raised: fewer labels fit."""


@dataclass(frozen=True, slots=True)
class Point:
    """A point to label, with the ends of its vertical interval; in plot points (1/72 inch) from the lower left."""

    x: float
    y: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Place:
    """Position of a label: anchor at x, vertical middle at y."""

    x: float
    y: float
    anchor: Anchor


@dataclass(frozen=True, slots=True)
class _Box:
    left: float
    bottom: float
    right: float
    top: float

    def meets(self, other: "_Box") -> bool:
        apart = self.right <= other.left or other.right <= self.left
        return not (apart or self.top <= other.bottom or other.top <= self.bottom)

    def inside(self, other: "_Box") -> bool:
        wide = self.left >= other.left and self.right <= other.right
        return wide and self.bottom >= other.bottom and self.top <= other.top


def place(points: Sequence[Point], names: Sequence[str], width: float, height: float) -> list[Place | None]:
    """Return a place for every label, or None if no place is free; earlier labels have priority."""
    frame = _Box(0, 0, width, height)
    taken = [_Box(p.x - 3, p.low, p.x + 3, p.high) for p in points] + [_dot(p) for p in points]
    places: list[Place | None] = []
    for point, name in zip(points, names, strict=True):
        options = [(option, _box(option, name)) for option in _options(point)]
        free = [(o, box) for o, box in options if box.inside(frame) and not any(box.meets(other) for other in taken)]
        places.append(free[0][0] if free else None)
        taken += [box for _, box in free[:1]]
    return places


def _options(point: Point) -> list[Place]:
    sides = [
        Place(point.x + side * GAP, point.y + shift, anchor)
        for shift in (0, LINE_HEIGHT, -LINE_HEIGHT, 2 * LINE_HEIGHT, -2 * LINE_HEIGHT)
        for side, anchor in _SIDES
    ]
    ends: list[Place] = [
        Place(point.x, max(point.high, point.y + GAP) + LINE_HEIGHT * 0.7, "middle"),
        Place(point.x, min(point.low, point.y - GAP) - LINE_HEIGHT * 0.7, "middle"),
    ]
    return sides + ends


_SIDES: tuple[tuple[int, Anchor], ...] = ((1, "start"), (-1, "end"))


def _box(place: Place, name: str) -> _Box:
    width = LETTER_WIDTH * len(name)
    left = {"start": place.x, "middle": place.x - width / 2, "end": place.x - width}[place.anchor]
    return _Box(left, place.y - LINE_HEIGHT / 2, left + width, place.y + LINE_HEIGHT / 2)


def _dot(point: Point) -> _Box:
    return _Box(point.x - 6, point.y - 6, point.x + 6, point.y + 6)
