"""Equality of answers and true labels, independent of the file format."""

import json
import math
import re
import unicodedata
from datetime import timedelta
from decimal import Decimal

_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)(e[+-]?[0-9]{1,9})?")
_DURATION = re.compile(
    r"(?P<sign>-?)p(?=[0-9t])((?P<days>[0-9]{1,12})d)?"
    r"(t(?=[0-9])((?P<hours>[0-9]{1,12})h)?((?P<minutes>[0-9]{1,12})m)?((?P<seconds>[0-9]{1,15}(\.[0-9]{1,9})?)s)?)?"
)
_SECONDS = {"days": 86_400, "hours": 3_600, "minutes": 60, "seconds": 1}
_DECIMALS_OF_A_TIME = re.compile(r"(?<=:[0-9]{2})\.([0-9]{1,9})(?![0-9])")


def is_right(truth: object, answer: object) -> bool:
    """Return whether an answer equals the true label; a missing answer never does."""
    return (label := label_of(answer)) is not None and label_of(truth) == label


def label_of(value: object) -> str | None:
    """Return the canonical form in which labels are compared; None for a missing or blank label.

    Text: Unicode NFKC, case folded, whitespace collapsed. Numbers: by value (`1`, `1.0` and `1e0` are equal). ISO 8601
    durations: by value (`PT1H` and `PT60M`). JSON objects and lists: any order of fields, any whitespace.
    """
    text = _normal(_text(value))
    if _NUMBER.fullmatch(text):
        return _number(Decimal(text))
    if text[:1] in ("{", "["):
        return _json(text)
    if duration := _DURATION.fullmatch(text):
        seconds = sum((Decimal(duration[unit] or 0) * each for unit, each in _SECONDS.items()), Decimal())
        return f"duration {_number(-seconds if duration['sign'] else seconds)}"
    return text or None


def _text(value: object) -> str:
    import pandas as pd

    if callable(to_python := getattr(value, "tolist", None)):  # numpy scalars and arrays
        value = to_python()
    match value:
        case None:
            return ""
        case bytes():
            return value.decode(errors="replace")
        case float() if math.isinf(value):
            return json.dumps(value)  # as in a CSV file
        case list() | tuple() | dict():
            return json.dumps(_plain(value), ensure_ascii=False)
        case _ if value is pd.NA or value != value:
            return ""
        case timedelta():
            return _duration(value)
        case _:
            return str(value)


def _plain(value: object) -> object:
    """Return a nested value as in a CSV file: NaN and infinity are null, what JSON has no type for is text."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case None | bool() | int() | str():
            return value
        case list() | tuple():
            return [_plain(item) for item in value]
        case dict():
            return {key: _plain(item) for key, item in value.items()}
        case _:
            return _text(value) or None


def _duration(value: timedelta) -> str:
    """Return a duration in ISO 8601, in seconds."""
    # A pandas Timedelta has nanoseconds besides.
    fraction = Decimal(value.microseconds * 1_000 + getattr(value, "nanoseconds", 0)).scaleb(-9)
    seconds = value.days * 86_400 + value.seconds + fraction
    return f"{'-' if seconds < 0 else ''}PT{abs(seconds):f}S"


def _normal(text: str) -> str:
    text = " ".join(unicodedata.normalize("NFKC", text).split()).casefold()
    # Case folding can undo NFKC normalization.
    text = unicodedata.normalize("NFKC", text)
    return _DECIMALS_OF_A_TIME.sub(lambda found: f".{found[1]}".rstrip("0").rstrip("."), text)


def _number(number: Decimal) -> str:
    sign, digits, exponent = number.as_tuple()
    written = "".join(map(str, digits)).lstrip("0")
    significant = written.rstrip("0")
    if not significant:
        return "0"
    return f"{'-' if sign else ''}{significant}e{int(exponent) + len(written) - len(significant)}"


def _json(text: str) -> str:
    try:
        parsed = json.loads(text, parse_int=Decimal, parse_float=Decimal)
        return json.dumps(_labels(parsed), sort_keys=True, ensure_ascii=False)
    except (ValueError, RecursionError):  # no JSON after the first character, or nested too deeply
        return text


def _labels(value: object) -> object:
    match value:
        case dict():
            return {key: _labels(item) for key, item in value.items()}
        case list():
            return [_labels(item) for item in value]
        case Decimal():
            return _number(value)
        case str():
            return label_of(value)
        case _:
            return value
