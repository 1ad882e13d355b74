"""A call that a rate limiter counts."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Call:
    """A started call: its start time in seconds, and the other calls in flight at that time."""

    at: float
    in_flight_before: int
    number: int = 0  # of the calls started so far
