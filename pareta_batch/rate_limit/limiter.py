"""The rate limiter: decides when the next call may start, from refusals. Pure: times are arguments, in seconds.

- A limit of R requests per second is learned as a rate (`rate.py`).
- A limit of C concurrent calls refuses at the same number in flight at any rate (`concurrency.py`). Then the calls in
  flight are limited and the rate is not.
- Random refusals, which do not depend on rate or concurrency (`random_refusals.py`), lower no limit.
- Limits that the service tells in headers (`told.py`) need no refusal.
- Limiters of one account share its rate and its pauses (`account.py`).
"""

from math import inf

from pareta_batch.rate_limit.account import Allocation, Usage
from pareta_batch.rate_limit.call import Call
from pareta_batch.rate_limit.concurrency import ConcurrencyEstimate
from pareta_batch.rate_limit.history import Limits, add_limits
from pareta_batch.rate_limit.random_refusals import RandomRefusals
from pareta_batch.rate_limit.rate import PROBE_INTERVAL_CALLS, Rate
from pareta_batch.rate_limit.share import OLD_REPORTS_S, Share
from pareta_batch.rate_limit.told import ToldLimits
from pareta_client import RateLimits

FIRST_PAUSE_S = 0.02
"""Shortest first pause in seconds after a refusal; higher loses more time, with fewer refused calls."""
MAX_DEFAULT_PAUSE_S = 8.0
"""Upper bound of the doubled pauses in seconds, if Retry-After is shorter; higher sends less to a failing service."""
MAX_PROBE_FACTOR = 16.0
"""Upper bound of the factor on the time between probes of a concurrency limit; higher probes less often."""


class RateLimiter:
    """A limiter of rate and concurrency that learns both from refusals; at most `most` calls are in flight."""

    def __init__(self, most: int) -> None:
        self.in_flight = self.refusals = 0
        self.history: list[Limits] = []
        self._rate = Rate(most)
        self._concurrency = ConcurrencyEstimate(most)
        self._random_refusals = RandomRefusals()
        self._told = ToldLimits()
        self._began: float | None = None
        self._next_at = self._last_answer = 0.0
        # The last burst of refusals: its time, its pause, and the calls since; the number of too short pauses.
        self._cut_at = self._refused_at = -inf
        self._paused_until = self._own_pause_until = self._pause_s = 0.0
        self._calls_since_cut = self._short_pauses = 0
        self._probe_factor = 2.0
        self._share = Share()

    @property
    def most(self) -> int:
        """Maximum number of calls in flight without a learned limit."""
        return self._concurrency.most

    @property
    def limit(self) -> int:
        """Maximum number of calls in flight."""
        return self._concurrency.limit

    def wait(self, now: float) -> float | None:
        """Return the seconds until the next call may start; None while the maximum is in flight."""
        if now < self._paused_until:
            return self._paused_until - now
        if wait := self._share.wait(now):
            return wait
        if entered := self._share.entered(now):
            self._rate.skip(entered.out_s, now)
            self._concurrency.skip(entered.out_s)
            self._next_at = max(self._next_at, entered.earliest + self._rate.gap_s)
            # A refusal of the first call of a turn does not show that a pause was too short.
            self._short_pauses, self._calls_since_cut = 0, self._calls_since_cut + 1
        if not self._random_refusals.gap_s:
            self._rate.end_ramp_up()
            if not self._concurrency.bounds and self._rate.raise_when_due(now):
                self._note(now)
        at = self._concurrency.next_at(now, self.in_flight)
        return max(0.0, max(self._next_at, self._told.next_at(now), at) - now) if at < inf else None

    def bound(self, most: int) -> None:
        """Set the maximum of calls in flight; a lower learned limit is kept."""
        self._concurrency.bound(most)

    def started(self, now: float) -> Call:
        """Count a call that starts now."""
        if self._began is None:
            self._began = self._last_answer = now
            self._note(now)
        call = Call(now, self.in_flight, self._told.started(now))
        self.in_flight += 1
        self._calls_since_cut += 1
        self._share.started(now, self._pause_s)
        self._rate.started(now)
        self._concurrency.started(now)
        self._random_refusals.started()
        if self._random_refusals.gap_s:
            self._next_at = now + self._random_refusals.gap_s
            self._end_measurement(now)
        else:
            self._next_at = (
                now + self._concurrency.spacing_s()
                if self._concurrency.bounds
                else self._rate.next_at(self._next_at, now)
            )
        return call

    def answered(self, call: Call, now: float, told: RateLimits | None = None, tokens: int | None = None) -> None:
        """Count an answered call, with the limits that its reply told and the tokens that it used."""
        self.in_flight -= 1
        self._told.answered(call.at, call.number, now, told, tokens)
        self._last_answer = now
        self._share.answered(now - call.at)
        self._random_refusals.answered(now)
        if self._random_refusals.gap_s:
            return
        paused = now < self._paused_until
        if self._concurrency.answered(call.in_flight_before, now, paused=paused, period_s=self._rate.period_s):
            self._rate.forget(now)
            self._note(now)

    def failed(self, call: Call, now: float) -> None:
        """Count a call that failed for a reason other than a limit; it postpones the next probe."""
        self.in_flight -= 1
        self._rate.postpone_probe(now)
        self._concurrency.postpone_probe(now, self._rate.period_s)

    def refused(self, call: Call, now: float, retry_after: float | None, told: RateLimits | None = None) -> None:
        """Count a refused call: pause all calls, and lower the limits once per burst of refusals."""
        self._told.answered(call.at, call.number, now, told, tokens=None)
        self.in_flight -= 1
        self.refusals += 1
        first = call.at > self._cut_at
        is_random = self._random_refusals.refused(first=first)
        if first:
            # A refusal of the first call after a pause shows that the pause was too short, and nothing about limits.
            self._short_pauses = self._short_pauses + 1 if self._calls_since_cut == 1 and self._cut_at > -inf else 0
            self._calls_since_cut = 0
        pause_s = max(self._default_pause_s(), retry_after or 0.0)
        self._own_pause_until = max(self._own_pause_until, now + pause_s)
        self._paused_until = max(self._paused_until, self._own_pause_until)
        if first:
            if not is_random:
                knows_rate = self._rate.resting or self._told.calls_per_s is not None
                self._share.refused(knows_rate=knows_rate, too_short_s=self._pause_s if self._short_pauses else 0.0)
            self._pause_s = pause_s
            if not self._short_pauses:
                self._refused_at = call.at
            if not is_random:
                self._learn(call, now)
            self._cut_at = now
            self._note(now)

    def resumed(self, now: float) -> None:
        """Exclude a pause by request or recovery, which ends now, from the time without an answer."""
        self._last_answer = max(self._last_answer, now)

    def usage(self, now: float) -> Usage:
        """Return the report to the other limiters of the account; its demand covers the time since the last report."""
        in_use = not self._concurrency.bounds and not self._random_refusals.gap_s
        # Not the pause of others: a pause that is reported back would never end.
        own = Usage(0, self.refusals, max(self._own_pause_until - now, 0.0), self._told.calls_per_s)
        return self._share.usage(own, now, self._rate, in_use=in_use, paused_until=self._paused_until)

    def allocate(self, allocation: Allocation, now: float) -> None:
        """Apply the part of the account's limits that this limiter received."""
        if allocation.turn is not None and self._began is not None:
            self._forget_collisions(allocation, now)
        pause_s = max(allocation.pause_s, self._share.take_turns(allocation, now))
        if pause_s:  # else `now` would count as a pause, which hides a lack of demand
            self._paused_until = max(self._paused_until, now + pause_s)
        self._rate.time = self._share.time
        if self._concurrency.bounds or self._random_refusals.gap_s or now < self._share.searches_until:
            return  # its rate is not in use, or it is searched: it stays, with its part
        per_s = self._share.allocated_per_s(allocation, self._rate.per_s if self._rate.resting else None)
        # Alone, told limits bound the calls without a rate.
        if per_s is not None and not (allocation.part == 1 and not self._rate.resting and self._told.calls_per_s):
            self._rate.allocate(per_s, now, alone=allocation.part == 1)
            self._note(now, restart=False)

    def _forget_collisions(self, allocation: Allocation, now: float) -> None:
        """Forget limits that refusals of other limiters' calls explain."""
        is_told, begins = bool(self._told.calls_per_s), self._share.turn is None
        if begins:
            self._share.searches_until = now + OLD_REPORTS_S if self._rate.resting and not is_told else -inf
            self._random_refusals.gap_s = 0.0  # a measurement would count collisions
        if begins and is_told:
            self._rate = Rate(self.most)  # told limits bound the calls without a rate
        elif begins:  # what was learned beside others is too low
            self._rate.search_again(self._rate.per_s / self._share.part_of_rate, now)
        # Limiters that learned the account's rate reach it in their turns: no limit of calls at once bounds them.
        if self._concurrency.bounds and (begins or (allocation.account_per_s is not None and not is_told)):
            self._concurrency = ConcurrencyEstimate(self.most)

    def starving_s(self, now: float) -> float:
        """Return the seconds from the last answer until calls may start again."""
        return max(self._paused_until, now) - self._last_answer

    def _default_pause_s(self) -> float:
        shortest = min(FIRST_PAUSE_S, self._rate.gap_s) if self._rate.resting else FIRST_PAUSE_S
        return min(shortest * 2.0 ** min(self._short_pauses, 12), MAX_DEFAULT_PAUSE_S)

    def _learn(self, call: Call, now: float) -> None:
        rate = self._rate_at_rest(call)
        # With other runs, refusals at any rate of this one may be theirs: they are neither random nor a bound.
        if self._share.is_alone and rate and not self._short_pauses and not self._random_refusals.gap_s:
            self._random_refusals.refused_at_rest(rate, self._pause_s)
        if self._random_refusals.gap_s:
            self._end_measurement(now)
        elif not self._short_pauses:
            self._cut(call, now)
        elif self._concurrency.refused_again(call.in_flight_before) and self._share.is_alone:
            self._rate.refused_again(self._refused_at, call.at)

    def _rate_at_rest(self, call: Call) -> float:
        """Return the calls per second that were allowed when a call was refused; 0 during the search."""
        if self._concurrency.bounds:
            below = not self._concurrency.on_trial and call.in_flight_before < self._concurrency.limit
            known = below and self._concurrency.interval_s > 0
            return 1 / self._concurrency.interval_s if known else 0.0
        return self._rate.reached() if self._rate.resting else 0.0

    def _end_measurement(self, now: float) -> None:
        """Apply the result of the measurement of random refusals once it is complete."""
        if self._random_refusals.measured():
            # The present limits were learned from random refusals.
            self._rate, self._concurrency = Rate(self.most), ConcurrencyEstimate(self.most)
        elif not self._random_refusals.gap_s:
            self._rate.forget(now)
        if not self._random_refusals.gap_s:
            self._note(now)

    def _cut(self, call: Call, now: float) -> None:
        bounded = self._concurrency.bounds  # read first: a trial that starts here must not prevent lowering the rate
        if self._concurrency.refused(call.in_flight_before):
            rest_s = max(self._rate.rest_s(self._pause_s), PROBE_INTERVAL_CALLS * self._concurrency.interval_s)
            self._concurrency.delay_probe_until(now + self._pause_s + rest_s * self._probe_factor)
            self._probe_factor = min(self._probe_factor * 2, MAX_PROBE_FACTOR)
        elif bounded:
            self._rate.forget(now)
        else:
            self._rate.refused(call.at, now, self._pause_s)

    def _note(self, now: float, *, restart: bool = True) -> None:
        if restart:
            self._rate.changed()
        bounded = self._rate.per_s < inf and not self._rate.ramping_up and not self._concurrency.bounds
        gap_s = self._random_refusals.gap_s
        per_s = 1 / gap_s if gap_s else self._rate.per_s if bounded else None
        at_s = 0.0 if self._began is None else round(now - self._began, 3)
        per_s = None if per_s is None else round(per_s, 1)
        add_limits(self.history, Limits(at_s, self._concurrency.limit, per_s))
