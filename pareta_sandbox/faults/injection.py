"""Selection of the faults that apply to a request: by count, by time and by a seeded draw."""

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from math import ceil

from pareta_sandbox.faults.buckets import Buckets
from pareta_sandbox.faults.kinds import (
    EndpointStops,
    Fault,
    ModelWeakens,
    PriceChange,
    RateLimit,
    RetryAfter,
    Route,
)


@dataclass(slots=True)
class Active:
    """An injected fault with its counters."""

    id: str
    fault: Fault
    since: float
    draws: random.Random
    seen: int = 0
    hits: int = 0
    buckets: Buckets | None = None
    refused: int = 0
    completions: Counter[str] = field(default_factory=Counter)  # by endpoint, for EndpointStops

    @property
    def exhausted(self) -> bool:
        """Whether the fault has applied `times` times."""
        return self.fault.times is not None and self.hits >= self.fault.times

    def expired(self, now: float) -> bool:
        """Return whether the fault can no longer apply: exhausted, or its period is over."""
        fault = self.fault
        return self.exhausted or (fault.for_s is not None and now >= self.since + fault.after_s + fault.for_s)

    def matches(self, route: Route, endpoint: str | None, now: float) -> bool:
        """Count a request in scope, and return whether `skip` and `share` select it."""
        fault = self.fault
        if self.expired(now) or now < self.since + fault.after_s:
            return False
        if fault.route not in ("any", route) or fault.endpoint not in (None, endpoint):
            return False
        self.seen += 1
        return self.seen > fault.skip and (fault.share == 1 or self.draws.random() < fault.share)

    def applies(self, route: Route, endpoint: str | None, now: float) -> bool:
        """Decide whether the fault applies to a request, and count the hit."""
        if not self.matches(route, endpoint, now):
            return False
        self.hits += 1
        return True

    def stops(self, fault: EndpointStops, endpoint: str, now: float) -> bool:
        """Count a completion of a live endpoint, and return whether the endpoint stops after it."""
        if not self.matches("chat", endpoint, now):
            return False
        self.completions[endpoint] += 1
        if self.completions[endpoint] % fault.after_completions:
            return False
        self.hits += 1
        return True


class Injection:
    """The active faults."""

    def __init__(self, seed: int, id_of: Callable[[str], str] = str) -> None:
        self._seed = seed
        self._id_of = id_of
        self._count = 0
        self._active: list[Active] = []

    def __bool__(self) -> bool:
        return bool(self._active)

    def add(self, fault: Fault) -> Active:
        """Switch a fault on; its period and its token bucket start now."""
        self._count += 1
        if fault.endpoint is not None:
            # An endpoint can be given by its name; requests are matched by id.
            fault = fault.model_copy(update={"endpoint": self._id_of(fault.endpoint)})
        now = time.monotonic()
        # Seeded by order: the same faults in the same order apply to the same requests.
        draws = random.Random(f"{self._seed}/{self._count}")  # noqa: S311
        active = Active(f"fault_{self._count}", fault, now, draws)
        active.buckets = Buckets(fault) if isinstance(fault, RateLimit) else None
        self._active.append(active)
        return active

    def remove(self, fault_id: str) -> bool:
        """Switch a fault off, and return whether it was active."""
        before = len(self._active)
        self._active = [active for active in self._active if active.id != fault_id]
        return len(self._active) < before

    def clear(self) -> None:
        """Switch every fault off."""
        self._active = []

    def all(self) -> list[Active]:
        """Return the active faults."""
        return list(self._active)

    def select(self, route: Route, endpoint: str | None, in_flight: int) -> tuple[Fault, ...]:
        """Return the faults that apply to a request, in the order of their injection."""
        now = time.monotonic()
        self._active = [active for active in self._active if not active.expired(now)]
        active_faults: list[Fault] = []
        for active in self._active:
            # These three count answers, not requests.
            if isinstance(active.fault, EndpointStops | ModelWeakens | PriceChange) or not active.applies(
                route, endpoint, now
            ):
                continue
            if active.buckets is None:
                active_faults.append(active.fault)
                continue
            refusal = active.buckets.refused(in_flight, now)
            active.refused += refusal is not None
            # Before the refusal, which ends the request.
            active_faults += [each for each in (active.buckets.reply_headers(), refusal) if each is not None]
        return tuple(active_faults)

    def count_tokens(self, tokens: int) -> None:
        """Count the tokens of an answered completion against the rate limits."""
        for active in self._active:
            if active.buckets is not None:
                active.buckets.count_tokens(tokens)

    def stops(self, endpoint: str) -> bool:
        """Count a completion of a live endpoint, and return whether the endpoint stops after it."""
        now = time.monotonic()
        # Every fault counts the completion, even if another fault stops the endpoint.
        stopping = [
            active
            for active in self._active
            if isinstance(active.fault, EndpointStops) and active.stops(active.fault, endpoint, now)
        ]
        return bool(stopping)

    def level(self, model: str, route: Route, endpoint: str | None) -> int | None:
        """Count an answer of a model, and return its lowered level, or None for its own level."""
        now = time.monotonic()
        for active in self._active:
            match active.fault:
                case ModelWeakens(model=weak, level=level) if weak == model and active.applies(route, endpoint, now):
                    return level
        return None

    def price_factor(self, route: Route, endpoint: str | None) -> float:
        """Count a request that will be answered, and return the factor of its price."""
        now = time.monotonic()
        factor = 1.0
        for active in self._active:
            if isinstance(active.fault, PriceChange) and active.applies(route, endpoint, now):
                factor *= active.fault.factor
        return factor


def draw_ms(median: float, sigma: float, draws: random.Random) -> float:
    """Draw a duration from a log-normal distribution; sigma 0 returns the median."""
    return median if not sigma else median * draws.lognormvariate(0, sigma)


def retry_after(seconds: float | None, how: RetryAfter) -> str | None:
    """Format a Retry-After header: whole seconds, fractional seconds, or an HTTP date; never rounded down."""
    match how:
        case "none":
            return None
        case _ if seconds is None:
            return None
        case "fractional":
            return f"{ceil(seconds * 1000) / 1000:.3f}"
        case "date":
            return formatdate(ceil(time.time() + seconds), usegmt=True)
        case _:
            return str(ceil(seconds))
