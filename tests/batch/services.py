"""A service that limits calls, simulated event by event: hours of calls in milliseconds."""

import heapq
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, Literal

import pytest

from pareta_batch.rate_limit.account import Usage, allocation_of
from pareta_batch.rate_limit.call import Call
from pareta_batch.rate_limit.limiter import RateLimiter
from pareta_client import RateLimitBudget, RateLimits

NETWORK_S = 0.0003
TIMER_S = (0.0001, 0.0003)
CLOCK_S = 0.002  # how wrong at most a run knows the common clock


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
    tells: bool = False  # its rate and burst, in every reply
    tokens_per_s: float | None = None  # a second bucket, of one minute, that is told too
    tokens_per_call: int = 100

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


def shared(played: Sequence[Played], begin_s: float, end_s: float) -> tuple[float, float, float]:
    """Return how runs share a limit between two times.

    These are their answers per second together, the slowest run relative to an equal share, and the refused calls of
    the whole simulation as a share of its answers.
    """
    rates = [sum(at > begin_s for at in each.answers) / (end_s - begin_s) for each in played]
    wasted = sum(each.refused for each in played) / max(sum(len(each.answers) for each in played), 1)
    return sum(rates), min(rates) / max(sum(rates) / len(rates), 1e-9), wasted


def play(service: Service, limiter: RateLimiter, rows: int, seed: int = 0) -> Played:
    """Simulate a rate limiter that sends rows to a service until all are answered."""
    (played,) = play_together(service, [limiter], rows, seed=seed)
    return played


def play_together(
    service: Service,
    limiters: Sequence[RateLimiter],
    rows: int | Sequence[int],
    *,
    apart_s: float = 0.0,
    until_s: float = math.inf,
    seed: int = 0,
    told_every_s: float | None = None,
) -> list[Played]:
    """Simulate rate limiters that share one service, each with its rows, until all rows are answered or `until_s`.

    Each limiter starts `apart_s` seconds after the one before. With `told_every_s`, they report their usage to each
    other at that interval, as runs do that share a ledger.
    """
    rows_of = [rows] * len(limiters) if isinstance(rows, int) else rows
    runs = [_Run(limiter, n, n) for limiter, n in zip(limiters, rows_of, strict=True)]
    simulation = _Simulation(service, runs, random.Random(seed))
    simulation.play(apart_s, until_s, told_every_s)
    return [run.played for run in simulation.runs]


@dataclass
class _Run:
    limiter: RateLimiter
    rows: int
    waiting: int
    played: Played = field(default_factory=Played)
    timer: int = -1
    usage: Usage | None = None
    sent_at: float = 0.0


@dataclass(order=True, slots=True)
class _Event:
    at: float
    number: int
    what: str = field(compare=False)
    run: _Run = field(compare=False)
    call: Call | None = field(compare=False)
    hold: float | None = field(compare=False)
    told: RateLimits | None = field(compare=False)


class _Simulation:
    def __init__(self, service: Service, runs: list[_Run], draws: random.Random) -> None:
        self.service = service
        self.runs = runs
        self.draws = draws
        self._requests = _Bucket(service.per_s or math.inf, float(service.burst), service.saved_up)
        self._tokens = _Bucket(service.tokens_per_s or math.inf, 60 * (service.tokens_per_s or 1))
        self._numbers = count()
        self._events: list[_Event] = []
        self._now = 0.0
        self._serving = 0
        self._left = sum(run.waiting for run in runs)

    def play(self, apart_s: float, until_s: float, told_every_s: float | None) -> None:
        for n, run in enumerate(self.runs):
            if told_every_s:
                self._later(n * apart_s, "tells", run, hold=told_every_s)
            run.timer = self._later(n * apart_s, "timer", run)
        while self._left and self._events[0].at <= until_s:
            event = heapq.heappop(self._events)
            self._now = event.at
            if event.what == "timer" and event.number != event.run.timer:
                continue
            self._happens(event)
            # What happens at the service wakes nobody here.
            if event.what not in ("arrives", "served"):
                self._send(event.run)

    def _later(
        self,
        seconds: float,
        what: str,
        run: _Run,
        call: Call | None = None,
        hold: float | None = None,
        told: RateLimits | None = None,
    ) -> int:
        number = next(self._numbers)
        heapq.heappush(self._events, _Event(self._now + seconds, number, what, run, call, hold, told))
        return number

    def _travel(self) -> float:
        return self.service.network_s * self.draws.uniform(0.5, 1.5) + self._late()

    def _late(self) -> float:
        # No draw where nothing is late: the other services stay as they are.
        return self.draws.expovariate(1 / self.service.late_s) if self.service.late_s else 0.0

    def _send(self, run: _Run) -> None:
        limiter, now = run.limiter, self._now
        while run.waiting and (wait := limiter.wait(now)) is not None:
            if wait > 0:
                slow = self.service.slow_start_s if limiter.in_flight == 1 and not run.played.answers else 0.0
                run.timer = self._later(wait + self.draws.uniform(*TIMER_S) + self._late() + slow, "timer", run)
                return
            run.waiting -= 1
            self._later(self._travel(), "arrives", run, limiter.started(now))

    def _happens(self, event: _Event) -> None:
        run, call, now = event.run, event.call, self._now
        if event.what == "tells":
            self._tell(run, event.hold or 0.0)
        if call is None:
            return
        match event.what:
            case "arrives":
                self._arrives(run, call)
            case "served":
                self._serving -= 1
                # No draw where nothing fails: the other services stay as they are.
                fails = self.service.failing > 0 and self.draws.random() < self.service.failing
                self._later(self._travel(), "failed" if fails else "answered", run, call, told=event.told)
            case "failed":
                run.limiter.failed(call, now)
                run.waiting += 1
            case "answered":
                run.limiter.answered(call, now, event.told, self.service.tokens_per_call)
                run.played.answers.append(now)
                self._left -= 1
            case _:
                run.limiter.refused(call, now, event.hold, event.told)
                run.played.refused += 1
                run.waiting += 1

    def _tell(self, run: _Run, every_s: float) -> None:
        """Exchange the usage of a run with that of the runs that have rows."""
        run.usage, run.sent_at = replace(run.limiter.usage(self._now), run=f"{self.runs.index(run)}"), self._now
        others = [
            replace(each.usage, pause_s=max(each.usage.pause_s - (self._now - each.sent_at), 0.0))
            for each in self.runs
            if each.usage is not None and each is not run and len(each.played.answers) < each.rows
        ]
        run.limiter.allocate(allocation_of(run.usage, others, self.draws.uniform(-CLOCK_S, CLOCK_S)), self._now)
        self._later(every_s * self.draws.uniform(0.9, 1.1), "tells", run, hold=every_s)

    def _arrives(self, run: _Run, call: Call) -> None:
        service, now = self.service, self._now
        unlucky = self.draws.random() < service.at_random
        full = service.concurrent is not None and self._serving >= service.concurrent * service.allows_at(now)
        asked = 0.02 if unlucky else 1.0 if full else self._asked()
        told = self._told()
        if asked:
            self._later(self._travel(), "refused", run, call, _told(service, asked), told)
        else:
            self._serving += 1
            self._later(
                service.latency_s * self.draws.lognormvariate(0, service.spread), "served", run, call, told=told
            )

    def _asked(self) -> float:
        """Count a call, and return the seconds for which it is refused; 0 if it is allowed."""
        service, now = self.service, self._now
        grows, tokens = service.allows_at(now), service.tokens_per_call
        waits = [self._requests.wait(now, grows)] if service.per_s else []
        waits += [self._tokens.wait(now, grows, tokens)] if service.tokens_per_s else []
        if wait := max(waits, default=0.0):
            return wait
        self._requests.take()
        self._tokens.take(tokens)
        return 0.0

    def _told(self) -> RateLimits | None:
        if not self.service.tells:
            return None
        return RateLimits(
            self._requests.told() if self.service.per_s else None,
            self._tokens.told() if self.service.tokens_per_s else None,
        )


class _Bucket:
    """A token bucket that is full at first, or has `saved_up`."""

    def __init__(self, per_s: float, size: float, saved_up: float = math.inf) -> None:
        self.per_s, self.size = per_s, size
        self._tokens, self._filled = min(size, saved_up), 0.0

    def wait(self, now: float, grows: float, cost: float = 1) -> float:
        """Return the seconds until it allows a call; 0 if it allows it now."""
        self._fill(now, grows)
        return 0.0 if self._tokens >= cost else (cost - self._tokens) / (self.per_s * grows)

    def take(self, cost: float = 1) -> None:
        """Count an allowed call."""
        self._tokens -= cost

    def told(self) -> RateLimitBudget:
        """Return its state as headers tell it."""
        used = self.size - self._tokens
        return RateLimitBudget(int(self.size), int(self._tokens), round(used / self.per_s, 3))

    def _fill(self, now: float, grows: float) -> None:
        self._tokens = min(self.size, self._tokens + (now - self._filled) * self.per_s * grows)
        self._filled = now


def _told(service: Service, seconds: float) -> float | None:
    match service.retry_after:
        case "none":
            return None
        case "fractional":
            return seconds
        case _:
            return float(math.ceil(seconds))
