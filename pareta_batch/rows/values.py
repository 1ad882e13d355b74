"""Conversion of dataset values of any type to text and to JSON."""

import json
from datetime import timedelta
from decimal import Decimal

NANOSECONDS = 1_000_000_000

MAX_NESTING = 200
"""Upper bound of the nesting of a JSON value, in brackets; Python's own limit is near 900 and depends on the stack."""


def is_missing(value: object) -> bool:
    """Return whether a value is missing: null, NaN or NaT."""
    # NaN and NaT are the only values that differ from themselves.
    return value is None or bool(value != value)


def nesting(value: object) -> int:
    """Return the nesting depth of a JSON value, in brackets."""
    depth, layer = 0, [value]
    while layer := [item for item in layer if isinstance(item, dict | list)]:
        depth += 1
        layer = [each for item in layer for each in (item.values() if isinstance(item, dict) else item)]
    return depth


def text_of(value: object) -> str:
    """Return a value as text for a prompt or a CSV cell: scalars without quotation marks, other values as JSON."""
    match value:
        case str():
            return value
        case bool() | int() | float():
            return json.dumps(value)
        case dict() | list() | tuple():
            return json_text(value)
        case _:
            return leaf_of(value) or ""


def json_text(value: object) -> str:
    """Return a value as strict JSON: NaN and infinity are null, dates and decimals are strings."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, default=leaf_of)
    except ValueError:  # NaN or infinity: faster than checking every value first
        return json.dumps(plain(value), ensure_ascii=False, allow_nan=False)


def plain(value: object) -> object:
    """Return a value in JSON types: NaN and infinity are null, dates and decimals are strings."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if abs(value) < float("inf") else None
        case dict():
            return {key: plain(item) for key, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
        case _:
            return leaf_of(value)


def leaf_of(value: object) -> str | None:
    """Return a scalar without a JSON type as text; None for a missing value."""
    match value:
        case _ if is_missing(value):
            return None
        case Decimal():
            return f"{value:f}"
        case timedelta():
            return _duration(value)
        case _:
            return str(value)


def _duration(value: timedelta) -> str:
    """Return a duration in ISO 8601 (`-P1DT2H3M4.5S`); few parsers read the format of `str` for negative ones."""
    seconds = value.days * 86_400 + value.seconds
    # A pandas Timedelta also has nanoseconds.
    total = seconds * NANOSECONDS + value.microseconds * 1_000 + getattr(value, "nanoseconds", 0)
    seconds, fraction = divmod(abs(total), NANOSECONDS)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    exact = f"{seconds}.{fraction:09}".rstrip("0").rstrip(".")
    parts = ((days, "D"), (hours, "H"), (minutes, "M"))
    day, hour, minute = (f"{number}{unit}" if number else "" for number, unit in parts)
    second = f"{exact}S" if exact != "0" or total == 0 else ""
    time = f"{hour}{minute}{second}"
    return f"{'-' if total < 0 else ''}P{day}{'T' if time else ''}{time}" if day or time else "PT0S"
