"""Values that every database of a ledger can hold, whatever a service sent."""

LARGEST = 10**12
"""Largest token count or receipt (micro-USD) that is believed; a larger one is unknown."""


def storable(value: object) -> str | bool | None:
    """Return a text or a truth value as the ledger holds it; None for a value of another type."""
    if isinstance(value, str):
        return text(value)
    return value if isinstance(value, bool) else None


def number(value: object) -> float | None:
    """Return a finite number from 0; None for any other value."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if 0 <= value <= LARGEST else None


def whole(value: object) -> int | None:
    """Return a whole number from 0 to `LARGEST`; None for any other value."""
    return value if type(value) is int and 0 <= value <= LARGEST else None


def text(value: str) -> str:
    """Return a text without what UTF-8 or PostgreSQL refuse: a paid answer must not be lost for one character."""
    try:
        value.encode()
    except UnicodeEncodeError:
        # By way of UTF-16, in which two surrogates that belong together are a character.
        value = value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value.replace("\0", "\ufffd")
