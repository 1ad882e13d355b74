"""Which fault strikes which request: counted, timed, and drawn from a seed."""

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from math import ceil

from pareta_sandbox.faults.kinds import (
    EndpointStops,
    Fault,
    ModelWeakens,
    PriceChange,
    RateLimit,
    RetryAfter,
    Route,
    Status,
)


@dataclass(slots=True)
class Active:
    """A fault that was asked for, and what it has done so far."""

    id: str
    fault: Fault
    since: float
    draws: random.Random
    seen: int = 0
    active_faults: int = 0
    bucket: float = 0.0
    filled_at: float = 0.0
    refused: int = 0
    completions: Counter[str] = field(default_factory=Counter)  # by endpoint, for those that stop themselves

    @property
    def spent(self) -> bool:
        """Tell whether it has struck as often as it may."""
        return self.fault.times is not None and self.active_faults >= self.fault.times

    def over(self, now: float) -> bool:
        """Tell whether its period is over."""
        fault = self.fault
        return self.spent or (fault.for_s is not None and now >= self.since + fault.after_s + fault.for_s)

    def concerns(self, route: Route, endpoint: str | None, now: float) -> bool:
        """Tell whether this request is one of those it may strike, and count it."""
        fault = self.fault
        if self.over(now) or now < self.since + fault.after_s:
            return False
        if fault.route not in ("any", route) or fault.endpoint not in (None, endpoint):
            return False
        self.seen += 1
        return self.seen > fault.skip and (fault.share == 1 or self.draws.random() < fault.share)

    def strikes(self, route: Route, endpoint: str | None, now: float) -> bool:
        """Decide whether it strikes this request, and count it."""
        if not self.concerns(route, endpoint, now):
            return False
        self.active_faults += 1
        return True

    def stops(self, fault: EndpointStops, endpoint: str, now: float) -> bool:
        """Count a completion of a live endpoint; tell whether the endpoint stops itself after it."""
        if not self.concerns("chat", endpoint, now):
            return False
        self.completions[endpoint] += 1
        if self.completions[endpoint] % fault.after_completions:
            return False
        self.active_faults += 1
        return True


class Injection:
    """The faults that are on."""

    def __init__(self, seed: int, id_of: Callable[[str], str] = str) -> None:
        self._seed = seed
        self._id_of = id_of
        self._count = 0
        self._active: list[Active] = []

    def __bool__(self) -> bool:
        return bool(self._active)

    def add(self, fault: Fault) -> Active:
        """Switch a fault on; its period and its bucket start now."""
        self._count += 1
        if fault.endpoint is not None:
            # Endpoints may be addressed by their names; requests are counted by ids.
            fault = fault.model_copy(update={"endpoint": self._id_of(fault.endpoint)})
        now = time.monotonic()
        # Seeded by order: the same faults in the same order strike the same requests.
        draws = random.Random(f"{self._seed}/{self._count}")  # noqa: S311
        active = Active(f"fault_{self._count}", fault, now, draws, filled_at=now)
        active.bucket = float(fault.burst) if isinstance(fault, RateLimit) else 0.0
        self._active.append(active)
        return active

    def remove(self, fault_id: str) -> bool:
        """Switch a fault off; tell whether it was on."""
        before = len(self._active)
        self._active = [active for active in self._active if active.id != fault_id]
        return len(self._active) < before

    def clear(self) -> None:
        """Switch everything off."""
        self._active = []

    def all(self) -> list[Active]:
        """Return the faults that are on."""
        return list(self._active)

    def strike(self, route: Route, endpoint: str | None, in_flight: int) -> tuple[Fault, ...]:
        """Return the faults that strike a request, in the order they were added."""
        now = time.monotonic()
        self._active = [active for active in self._active if not active.over(now)]
        active_faults: list[Fault] = []
        for active in self._active:
            # These count answers.
            if isinstance(active.fault, EndpointStops | ModelWeakens | PriceChange) or not active.strikes(
                route, endpoint, now
            ):
                continue
            if not isinstance(active.fault, RateLimit):
                active_faults.append(active.fault)
            elif refusal := _refused(active, active.fault, in_flight, now):
                active_faults.append(refusal)
        return tuple(active_faults)

    def stops(self, endpoint: str) -> bool:
        """Count a completion of a live endpoint; tell whether the endpoint stops itself after it."""
        now = time.monotonic()
        # Every fault counts the completion, also when another has stopped the endpoint.
        stopping = [
            active
            for active in self._active
            if isinstance(active.fault, EndpointStops) and active.stops(active.fault, endpoint, now)
        ]
        return bool(stopping)

    def level(self, model: str, route: Route, endpoint: str | None) -> int | None:
        """Count an answer of a model; return the level it gives it at, where that is not its own."""
        now = time.monotonic()
        for active in self._active:
            match active.fault:
                case ModelWeakens(model=weak, level=level) if weak == model and active.strikes(route, endpoint, now):
                    return level
        return None

    def price_factor(self, route: Route, endpoint: str | None) -> float:
        """Count a request that will be answered; return the factor of its price."""
        now = time.monotonic()
        factor = 1.0
        for active in self._active:
            if isinstance(active.fault, PriceChange) and active.strikes(route, endpoint, now):
                factor *= active.fault.factor
        return factor


def draw_ms(median: float, sigma: float, draws: random.Random) -> float:
    """Draw a time, log-normal around a median."""
    return median if not sigma else median * draws.lognormvariate(0, sigma)


def retry_after(seconds: float | None, how: RetryAfter) -> str | None:
    """Render a Retry-After header: whole seconds, fractional seconds, or an HTTP date."""
    match how:
        case "none":
            return None
        case _ if seconds is None:
            return None
        case "fractional":
            return f"{seconds:.3f}"
        case "date":
            # Rounded up, so that waiting until then is always long enough.
            return formatdate(ceil(time.time() + seconds), usegmt=True)
        case _:
            return str(ceil(seconds))


def _refused(active: Active, limit: RateLimit, in_flight: int, now: float) -> Status | None:
    if limit.concurrent is not None and in_flight >= limit.concurrent:
        active.refused += 1
        return _too_many("too many concurrent requests", 1.0, limit)
    if limit.per_s is None:
        return None
    active.bucket = min(float(limit.burst), active.bucket + (now - active.filled_at) * limit.per_s)
    active.filled_at = now
    if active.bucket >= 1:
        active.bucket -= 1
        return None
    active.refused += 1
    return _too_many("rate limit exceeded", (1 - active.bucket) / limit.per_s, limit)


def _too_many(detail: str, wait_s: float, limit: RateLimit) -> Status:
    return Status(status=429, detail=detail, retry_after_s=wait_s, retry_after=limit.retry_after)
