"""Conversion of the service's values into values that SQLite and PostgreSQL can store."""

MAX_VALUE = 10**12
"""Largest accepted token count or receipt (micro-USD); a larger value is stored as unknown."""


def storable(value: object) -> str | bool | None:
    """Return a text or a boolean in storable form; None for a value of another type."""
    if isinstance(value, str):
        return text(value)
    return value if isinstance(value, bool) else None


def number(value: object) -> float | None:
    """Return a number from 0 to `MAX_VALUE`; None for any other value."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if 0 <= value <= MAX_VALUE else None


def whole(value: object) -> int | None:
    """Return a whole number from 0 to `MAX_VALUE`; None for any other value."""
    return value if type(value) is int and 0 <= value <= MAX_VALUE else None


def text(value: str) -> str:
    """Return a text without characters that UTF-8 or PostgreSQL reject: they must not lose a paid answer."""
    try:
        value.encode()
    except UnicodeEncodeError:
        # Through UTF-16, which combines a surrogate pair into one character.
        value = value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value.replace("\0", "\ufffd")
