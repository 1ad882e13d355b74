"""Limits of retries and waits of a session; tests pass lower ones."""

from collections.abc import Callable
from dataclasses import dataclass

from pareta_client import backoff


@dataclass(frozen=True)
class RetryPolicy:
    """Limits of the attempts of one row in one run.

    `max_transient_failures`: transient failures after which a row fails; higher retries longer. `max_pause_s`: seconds
    that a service may ask one row, or the batch, to wait without an answer; higher waits longer. `backoff`: seconds
    before the next attempt, from the number of failures, a random number below 1 and the service's Retry-After.
    """

    max_transient_failures: int = 6
    max_pause_s: float = 900.0
    backoff: Callable[[int, float, float | None], float] = backoff


@dataclass(frozen=True)
class Timing:
    """Limits in seconds of the waits of a session.

    `drain_s`: for calls in flight when the session closes; higher loses fewer answers, and ends later. `ready_s`: for
    an endpoint that is not ready; higher waits longer before the batch stops. `other_start_s`: for an endpoint that
    reads `stopped` after another client started it; higher fails later. `last_write_interval_s`: between attempts to
    write unwritten outcomes at the end; higher loses fewer, and ends later.
    """

    drain_s: float = 10.0
    ready_s: float = 900.0
    other_start_s: float = 10.0
    last_write_interval_s: float = 0.5


RETRY_POLICY = RetryPolicy()
TIMING = Timing()
