"""When an answer equals a truth, whatever the file format made of both."""

import json
import math
import re
import unicodedata
from decimal import Decimal

_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)(e[+-]?[0-9]{1,9})?")
_DECIMALS_OF_A_TIME = re.compile(r"(?<=:[0-9]{2})\.([0-9]{1,9})(?![0-9])")


def is_right(truth: object, answer: object) -> bool:
    """Return whether an answer equals the truth; a missing one never does."""
    return (label := label_of(answer)) is not None and label_of(truth) == label


def label_of(value: object) -> str | None:
    """Return a label in the form in which labels are compared; None for a missing or blank one.

    Texts ignore case and the length of blanks, in Unicode form NFKC. Numbers are equal however they are written: `1`,
    `1.0`, `1e0`. JSON objects and lists are equal in any order of fields, with any blanks.
    """
    text = _normal(_text(value))
    if _NUMBER.fullmatch(text):
        return _number(Decimal(text))
    if text[:1] in ("{", "["):
        return _json(text)
    return text or None


def _text(value: object) -> str:
    import pandas as pd

    if callable(to_python := getattr(value, "tolist", None)):  # numpy's scalars and arrays
        value = to_python()
    match value:
        case None:
            return ""
        case bytes():
            return value.decode(errors="replace")
        case float() if math.isinf(value):
            return json.dumps(value)  # as in a CSV file
        case list() | tuple() | dict():
            return json.dumps(value, ensure_ascii=False, default=str)
        case _ if value is pd.NA or value != value:
            return ""
        case _:
            return str(value)


def _normal(text: str) -> str:
    text = " ".join(unicodedata.normalize("NFKC", text).split()).casefold()
    # Folding the case can take a text out of its normal form.
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
    except (ValueError, RecursionError):  # a text that only begins like JSON, or one too deep to compare
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
