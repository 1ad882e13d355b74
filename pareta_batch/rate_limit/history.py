"""The history of the limits of one run, for its report and its plot."""

from dataclasses import dataclass, replace

MAX_HISTORY = 1_000
"""Entries in the history of limits; higher keeps a finer history, in more memory."""


@dataclass(frozen=True)
class Limits:
    """The limits from a time on (seconds since the first call): calls in flight, and calls per second if limited."""

    at_s: float
    in_flight: int
    per_s: float | None


def add_limits(history: list[Limits], limits: Limits) -> None:
    """Append the limits to a history if they changed."""
    if history and replace(limits, at_s=history[-1].at_s) == history[-1]:
        return
    if len(history) >= MAX_HISTORY:
        # Every second entry, so that the history still begins at the first call.
        del history[1::2]
    history.append(limits)
