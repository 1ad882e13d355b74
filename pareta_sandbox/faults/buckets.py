"""Token buckets of a rate limit, and the headers that report their state."""

import time
from dataclasses import dataclass, field
from math import ceil

from pareta_sandbox.faults.kinds import RateLimit, ReplyHeaders, Status


@dataclass(slots=True)
class Bucket:
    """A bucket that is full at first and refills at `per_s`; its level may become negative."""

    size: float
    per_s: float
    level: float = field(init=False)
    filled_at: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.level = self.size

    def wait_s(self, now: float) -> float:
        """Return the seconds until the bucket has 1 or more."""
        self.level = min(self.size, self.level + (now - self.filled_at) * self.per_s)
        self.filled_at = now
        return max(0.0, 1 - self.level) / self.per_s

    def headers(self, unit: str) -> dict[str, str]:
        """Return the headers with size, remaining part and seconds until it is full."""
        reset_ms = ceil(1000 * (self.size - self.level) / self.per_s)
        values = {"limit": int(self.size), "remaining": max(0, int(self.level)), "reset": f"{reset_ms}ms"}
        return {f"x-ratelimit-{name}-{unit}": str(value) for name, value in values.items()}


class Buckets:
    """The buckets of one rate limit: requests, and tokens of the answered completions."""

    def __init__(self, limit: RateLimit) -> None:
        self._limit = limit
        self._requests = None if limit.per_s is None else Bucket(float(limit.burst), limit.per_s)
        minute = limit.tokens_per_min
        self._tokens = None if minute is None else Bucket(float(minute), minute / 60)

    def refused(self, in_flight: int, now: float) -> Status | None:
        """Count a request, and return its refusal if it is above a limit."""
        limit = self._limit
        if limit.concurrent is not None and in_flight >= limit.concurrent:
            return _refusal("too many concurrent requests", 1.0, limit)
        wait_s = max((bucket.wait_s(now) for bucket in (self._requests, self._tokens) if bucket), default=0.0)
        if wait_s > 0:
            return _refusal("rate limit exceeded", wait_s, limit)
        if self._requests:
            self._requests.level -= 1
        return None

    def count_tokens(self, tokens: int) -> None:
        """Count the tokens of an answered completion."""
        if self._tokens:
            self._tokens.level -= tokens

    def reply_headers(self) -> ReplyHeaders | None:
        """Return the headers of a reply; None unless the fault has `told`."""
        if not self._limit.told:
            return None
        units = (("requests", self._requests), ("tokens", self._tokens))
        return ReplyHeaders(headers={k: v for unit, bucket in units if bucket for k, v in bucket.headers(unit).items()})


def _refusal(detail: str, wait_s: float, limit: RateLimit) -> Status:
    return Status(status=429, detail=detail, retry_after_s=wait_s, retry_after=limit.retry_after)
