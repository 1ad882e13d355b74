"""Limits that the service tells in headers: a copy of its token buckets, one for requests and one for tokens.

A bucket of size `limit` refills at R per second. A reply that tells `limit`, `remaining` and `reset` (the seconds until
the bucket is full) therefore tells R = (limit - remaining) / reset. Then for the call of that reply, sent at t:

    level(now) = min(limit, remaining + R · (now - t)) - cost · (calls started since)

A call may start while the level covers its cost: 1 request, or the mean tokens of a call. With a fixed window the reset
is one point in time, however many calls are sent. Such a bucket refills at that time only.

The told limits are a further bound. They never permit what refusals forbid, because a gateway may tell wrong values.
"""

from dataclasses import dataclass
from math import inf

from pareta_client import RateLimitBudget, RateLimits

MAX_WAIT_S = 60.0
"""Longest wait in seconds for a told limit without any call; higher believes wrong values for longer."""
MIN_USED_SHARE = 0.1
"""Used share of a limit from which a new reply replaces the refill rate; higher averages out a rounded reset."""
REFILL_MARGIN = 0.99
"""Factor on the told refill rate; higher uses more of it and has more refusals by jitter of the network."""
MAX_RESERVE = 1.0
"""Calls that stay in the bucket, at most a fifth of it; higher has fewer refusals by jitter, and a later last call."""
WINDOW_S, WINDOW_SLACK_S = 2.0, 1.0
"""A reset at the same time, within the slack, for `WINDOW_S` seconds shows a fixed window; higher finds it later."""
TOKENS_WEIGHT = 0.1
"""Weight of the latest answer in the mean tokens of a call; higher follows longer answers sooner, with more noise."""


@dataclass
class _Bucket:
    limit: float = inf
    level: float = inf
    at: float = 0.0  # of the level
    number: int = 0  # of the call that told it
    refill_per_s: float = 0.0
    full_at: float = inf
    full_at_since: float = 0.0

    @property
    def is_window(self) -> bool:
        return self.number > 0 and self.at - self.full_at_since >= WINDOW_S

    def told(self, sent: float, number: int, budget: RateLimitBudget, spent: float, now: float) -> None:
        """Set the bucket to its state after call `number`, sent at `sent`, less what later calls `spent` until now."""
        full_at = sent + budget.reset_s
        if abs(full_at - self.full_at) > WINDOW_SLACK_S:
            self.full_at, self.full_at_since = full_at, sent
        used = budget.limit - budget.remaining
        is_better = not self.refill_per_s or used >= MIN_USED_SHARE * budget.limit
        if used and budget.reset_s and is_better:
            self.refill_per_s = REFILL_MARGIN * used / budget.reset_s
        self.limit, self.level, self.at, self.number = budget.limit, budget.remaining, sent, number
        is_window = self.is_window
        # A token bucket refills between the calls, up to its limit; the reset of a window may precede some of them.
        self.level -= 0.0 if is_window else spent
        self.refilled(now)
        self.level -= spent if is_window else 0.0

    def refilled(self, now: float) -> None:
        """Set the level to that of `now`."""
        if self.limit == inf:
            return
        if now >= self.full_at and self.is_window:
            self.level, self.full_at = self.limit, inf
        elif not self.is_window:
            self.level = min(self.limit, self.level + self.refill_per_s * (now - self.at))
        self.at = max(self.at, now)

    def next_at(self, cost: float) -> float:
        """Return the time at which the level covers the cost; infinite if only a reply can tell."""
        required = min(cost * (1 + min(MAX_RESERVE, 0.2 * self.limit / max(cost, 1e-9))), self.limit)
        if self.level >= required:
            return -inf
        if self.is_window or not self.refill_per_s:
            return self.full_at
        return self.at + (required - self.level) / self.refill_per_s


class ToldLimits:
    """The buckets that the service told; without headers they bound nothing."""

    def __init__(self) -> None:
        self._requests, self._tokens = _Bucket(), _Bucket()
        self._tokens_per_call = 0.0
        self._started = 0
        self._latest = 0.0

    def next_at(self, now: float) -> float:
        """Return the time at which both buckets cover another call, at most MAX_WAIT_S after the latest one."""
        if self._requests.limit == self._tokens.limit == inf:
            return now
        at = max(bucket.next_at(cost) for bucket, cost in self._costs(now))
        return max(now, min(at, self._latest + MAX_WAIT_S))

    @property
    def calls_per_s(self) -> float | None:
        """Calls per second that both buckets refill; None while it is not told."""
        # Before the first answer, the tokens of a call are unknown.
        by_tokens = self._tokens.refill_per_s / self._tokens_per_call if self._tokens_per_call else 0.0
        return min((each for each in (self._requests.refill_per_s, by_tokens) if each), default=None)

    def started(self, now: float) -> int:
        """Count a call that starts now; return its number."""
        for bucket, cost in self._costs(now):
            bucket.level -= cost
        self._started += 1
        self._latest = now
        return self._started

    def answered(self, sent: float, number: int, now: float, told: RateLimits | None, tokens: int | None) -> None:
        """Record the reply to a call: the limits that it told and the tokens that it used."""
        if tokens is not None:
            change = tokens - self._tokens_per_call
            self._tokens_per_call += change * (TOKENS_WEIGHT if self._tokens_per_call else 1.0)
        if told is None:
            return
        for bucket, budget, cost in (
            (self._requests, told.requests, 1.0),
            (self._tokens, told.tokens, self._tokens_per_call),
        ):
            if budget is not None and number > bucket.number:
                bucket.told(sent, number, budget, cost * (self._started - number), now)

    def _costs(self, now: float) -> tuple[tuple[_Bucket, float], ...]:
        self._requests.refilled(now)
        self._tokens.refilled(now)
        return (self._requests, 1.0), (self._tokens, self._tokens_per_call)
