"""Rate limits that a service reports in the headers `x-ratelimit-{limit,remaining,reset}-{requests,tokens}`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from pareta_client.core.json_reading import note
from pareta_client.core.values import count_of, shown

MAX_RESET_S = 31 * 86_400.0
"""Longest accepted reset in seconds; higher accepts Unix times, which some gateways send, as durations."""
_PREFIX = "x-ratelimit-"
_NAMES = frozenset(f"{_PREFIX}limit-{unit}" for unit in ("requests", "tokens"))
_UNITS_S = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_NUMBER = r"[0-9]{1,12}(?:\.[0-9]{1,12})?"
_DURATION = re.compile(rf"(?:{_NUMBER}(?:ms|[dhms]))+", re.ASCII)
_PART = re.compile(rf"({_NUMBER})(ms|[dhms])", re.ASCII)


@dataclass(frozen=True, slots=True)
class RateLimitBudget:
    """One limit: its size, the remaining part of it, and the seconds until it is full again."""

    limit: int
    remaining: int
    reset_s: float


@dataclass(frozen=True, slots=True)
class RateLimits:
    """The limits on requests and on tokens; None where the service reports none, or an invalid one."""

    requests: RateLimitBudget | None = None
    tokens: RateLimitBudget | None = None


def rate_limits_from_headers(headers: Mapping[str, str], notes: list[str] | None = None) -> RateLimits | None:
    """Return the limits in the X- headers (lower-case names), or None; add a note for an invalid value."""
    if _NAMES.isdisjoint(headers):
        return None
    notes = [] if notes is None else notes
    limits = RateLimits(_budget(headers, "requests", notes), _budget(headers, "tokens", notes))
    return limits if limits.requests or limits.tokens else None


def duration_of(text: str) -> float | None:
    """Return the seconds of "6m0s", "20ms" or "1.5", from 0 to MAX_RESET_S; None for another text."""
    text = text.strip()
    if re.fullmatch(_NUMBER, text, re.ASCII):
        seconds = float(text)
    elif _DURATION.fullmatch(text):
        seconds = sum(float(number) * _UNITS_S[unit] for number, unit in _PART.findall(text))
    else:
        return None
    return seconds if seconds <= MAX_RESET_S else None


def _budget(headers: Mapping[str, str], unit: str, notes: list[str]) -> RateLimitBudget | None:
    limit, remaining = (_count(headers, f"{_PREFIX}{which}-{unit}", notes) for which in ("limit", "remaining"))
    name = f"{_PREFIX}reset-{unit}"
    text = _single(headers.get(name))
    reset_s = None if text is None else duration_of(text)
    if text is not None and reset_s is None:
        note(notes, f"the header {name} is {shown(text)}: not a duration, ignored")
    if not limit or remaining is None or reset_s is None:
        return None
    return RateLimitBudget(limit, min(remaining, limit), reset_s)


def _count(headers: Mapping[str, str], name: str, notes: list[str]) -> int | None:
    text = _single(headers.get(name))
    count = count_of(text)
    if text is not None and count is None:
        note(notes, f"the header {name} is {shown(text)}: not a number of {name.rsplit('-')[-1]}, ignored")
    return count


def _single(text: str | None) -> str | None:
    """Return the value of a header; a repeated equal value, joined with commas, counts once."""
    if text is None:
        return None
    values = {part.strip() for part in text.split(",")}
    return values.pop() if len(values) == 1 else text
