"""A service that limits calls, simulated event by event: hours of calls in milliseconds."""

import heapq
import math
import random
from collections.abc import Generator
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Literal

import pytest

from pareta_batch.rate_limit.limiter import Call, RateLimiter

NETWORK_S = 0.0003
TIMER_S = (0.0001, 0.0003)


def first_of(*cases: Any) -> list[Any]:  # what pytest.param takes
    """Return the cases of a class for `parametrize`: the first always runs, the others only with `long`."""
    others = (case if isinstance(case, tuple) else (case,) for case in cases[1:])
    return [cases[0], *(pytest.param(*case, marks=pytest.mark.long) for case in others)]


@dataclass(frozen=True)
class Service:
    """What it allows without telling: a rate with a bucket of `burst`, or so many calls at once. Latency in seconds."""

    latency_s: float
    per_s: float | None = None
    burst: int = 1
    concurrent: int | None = None
    retry_after: Literal["none", "fractional", "seconds"] = "seconds"
    at_random: float = 0.0  # share of calls refused whatever else is allowed
    failing: float = 0.0  # share of allowed calls that end in an error of the service
    late_s: float = 0.0  # how late, on top and in the mean, timers are and calls arrive, each on its own
    slow_start_s: float = 0.0  # how late the second call is
    spread: float = 0.3  # sigma of the lognormal latency; 0: every answer takes as long
    network_s: float = NETWORK_S  # one way, in the mean
    grows_at_s: float = math.inf  # from then on it allows `grows` times as much
    grows: float = 4.0
    saved_up: float = math.inf  # at the beginning; at most `burst`

    def allows_at(self, now: float) -> float:
        """How many times what is said above it allows."""
        return self.grows if now >= self.grows_at_s else 1.0


@dataclass
class Played:
    """When each answer came, in seconds, and how many calls were refused."""

    answers: list[float] = field(default_factory=list)
    refused: int = 0

    def per_s(self, *, after_s: float) -> float:
        """Answers a second from a moment on."""
        return sum(at > after_s for at in self.answers) / (self.answers[-1] - after_s)

    @property
    def wasted(self) -> float:
        """Refused calls as a share of the answers."""
        return self.refused / len(self.answers)


def play(service: Service, limiter: RateLimiter, rows: int, seed: int = 0) -> Played:
    """Simulate a rate limiter that sends rows to a service until all are answered."""
    draws = random.Random(seed)
    played = Played()
    bucket = _bucket(service)
    next(bucket)
    numbers = count()
    events: list[tuple[float, int, str, Call | None, float | None]] = []
    now, waiting, serving, timer = 0.0, rows, 0, -1

    def later(seconds: float, what: str, call: Call | None = None, hold: float | None = None) -> int:
        number = next(numbers)
        heapq.heappush(events, (now + seconds, number, what, call, hold))
        return number

    def travel() -> float:
        return service.network_s * draws.uniform(0.5, 1.5) + late()

    def late() -> float:
        # No draw where nothing is late: the other services stay as they are.
        return draws.expovariate(1 / service.late_s) if service.late_s else 0.0

    what = "begins"
    while len(played.answers) < rows:
        # What happens at the service wakes nobody here.
        while what not in ("arrives", "served") and waiting and (wait := limiter.wait(now)) is not None:
            if wait > 0:
                slow = service.slow_start_s if limiter.in_flight == 1 and not played.answers else 0.0
                timer = later(wait + draws.uniform(*TIMER_S) + late() + slow, "timer")
                break
            waiting -= 1
            later(travel(), "arrives", limiter.started(now))
        now, number, what, call, hold = heapq.heappop(events)
        while what == "timer" and number != timer:
            now, number, what, call, hold = heapq.heappop(events)
        if call is None:
            continue
        match what:
            case "arrives":
                unlucky = draws.random() < service.at_random
                full = service.concurrent is not None and serving >= service.concurrent * service.allows_at(now)
                asked = 0.02 if unlucky else 1.0 if full else bucket.send(now)
                if asked:
                    later(travel(), "refused", call, _told(service, asked))
                else:
                    serving += 1
                    later(service.latency_s * draws.lognormvariate(0, service.spread), "served", call)
            case "served":
                serving -= 1
                # No draw where nothing fails: the other services stay as they are.
                fails = service.failing > 0 and draws.random() < service.failing
                later(travel(), "failed" if fails else "answered", call)
            case "failed":
                limiter.failed(call, now)
                waiting += 1
            case "answered":
                limiter.answered(call, now)
                played.answers.append(now)
            case _:
                limiter.refused(call, now, hold)
                played.refused += 1
                waiting += 1
    return played


def _bucket(service: Service) -> Generator[float, float, None]:
    """Yield, for each call time sent in, the seconds until the token bucket allows the call."""
    tokens, filled = min(float(service.burst), service.saved_up), 0.0
    wait = 0.0
    while True:
        now = yield wait
        if service.per_s is None:
            continue
        per_s = service.per_s * service.allows_at(now)
        tokens = min(float(service.burst), tokens + (now - filled) * per_s)
        filled = now
        wait = 0.0 if tokens >= 1 else (1 - tokens) / per_s
        tokens -= wait == 0


def _told(service: Service, seconds: float) -> float | None:
    match service.retry_after:
        case "none":
            return None
        case "fractional":
            return seconds
        case _:
            return float(math.ceil(seconds))
