"""How many calls, and how fast: learned from what was refused, decided without a clock of its own.

A service that allows R requests a second is learned as a rate (`rate.py`). A service that allows C calls at once shows
itself by refusing at the same number in flight whatever the rate (`cap.py`); then the number is bounded and the rate
is not. A service that refuses a few calls whatever we do (`chance.py`) is not pressed less for it.
"""

from dataclasses import dataclass, replace
from math import inf

from pareta_batch.rate_limit.concurrency import ConcurrencyEstimate
from pareta_batch.rate_limit.random_refusals import RandomRefusals
from pareta_batch.rate_limit.rate import CALLS_A_STEP, Rate

HOLD_UNTOLD_S = 0.02
LONGEST_UNTOLD_HOLD_S = 8.0
LONGEST_PATIENCE = 16.0
MOST_HISTORY = 1_000


@dataclass(frozen=True)
class Call:
    """A call that was started: when (seconds), and how many others had not come back then, refused or not."""

    at: float
    in_flight_before: int


@dataclass(frozen=True)
class Limits:
    """What was allowed from a moment on (seconds since the first call): calls in flight, calls a second if bounded."""

    at_s: float
    in_flight: int
    per_s: float | None


class RateLimiter:
    """Says when the next call may start; `most` may be in flight at any moment."""

    def __init__(self, most: int) -> None:
        self.in_flight = 0
        self.refusals = 0
        self.history: list[Limits] = []
        self._rate = Rate(most)
        self._cap = ConcurrencyEstimate(most)
        self._chance = RandomRefusals()
        self._began: float | None = None
        self._next_at = 0.0
        self._last_answer = 0.0
        # The last episode of refusals: when, how long the hold, how many calls since; how many holds were too short.
        self._cut_at = self._refused_at = -inf
        self._held_until = 0.0
        self._hold_s = 0.0
        self._since_cut = 0
        self._in_vain = 0
        self._patience = 2.0

    @property
    def most(self) -> int:
        """How many may be in flight whatever the service allows."""
        return self._cap.most

    @property
    def limit(self) -> int:
        """How many may be in flight."""
        return self._cap.limit

    def wait(self, now: float) -> float | None:
        """Give the seconds until the next call may start; None while too many are in flight."""
        if now < self._held_until:
            return self._held_until - now
        if not self._chance.gap_s:
            self._try_more(now)
        at = self._cap.next_at(now, self.in_flight)
        return max(0.0, self._next_at - now, at - now) if at < inf else None

    def bound(self, most: int) -> None:
        """Change how many may be in flight; a lower number that the service taught stays."""
        self._cap.bound(most)

    def started(self, now: float) -> Call:
        """Count a call that starts now."""
        if self._began is None:
            self._began = self._last_answer = now
            self._note(now)
        call = Call(now, self.in_flight)
        self.in_flight += 1
        self._since_cut += 1
        self._rate.started(now)
        self._cap.started(now)
        self._chance.started()
        if self._chance.gap_s:
            self._next_at = now + self._chance.gap_s
            self._end_measurement(now)
        else:
            self._next_at = now + self._cap.apart_s() if self._cap.bounds else self._rate.after(self._next_at, now)
        return call

    def answered(self, call: Call, now: float) -> None:
        """Count an answer."""
        self.in_flight -= 1
        self._last_answer = now
        self._chance.answered(now)
        if self._chance.gap_s:
            return
        held = now < self._held_until
        if self._cap.answered(call.in_flight_before, now, held=held, period_s=self._rate.period_s):
            self._rate.forget(now)
            self._note(now)

    def failed(self, call: Call, now: float) -> None:
        """Count a call that failed for another reason than too much pressure: no time to try more."""
        self.in_flight -= 1
        self._rate.put_off(now)
        self._cap.put_off(now, self._rate.period_s)

    def refused(self, call: Call, now: float, retry_after: float | None) -> None:
        """Count a call that was one too many: everybody holds, and the limits are cut once in each episode."""
        self.in_flight -= 1
        self.refusals += 1
        first = call.at > self._cut_at
        by_chance = self._chance.refused(first=first)
        if first:
            # The first call after a hold says that the hold was too short, and nothing about the limits.
            self._in_vain = self._in_vain + 1 if self._since_cut == 1 and self._cut_at > -inf else 0
            self._since_cut = 0
        hold = self._untold_hold() if retry_after is None else retry_after
        self._held_until = max(self._held_until, now + hold)
        if first:
            self._hold_s = hold
            if not self._in_vain:
                self._refused_at = call.at
            if not by_chance:
                self._learn(call, now)
            self._cut_at = now
            self._note(now)

    def resumed(self, now: float) -> None:
        """Count a time in which no call was allowed as no time without an answer."""
        self._last_answer = max(self._last_answer, now)

    def starving_s(self, now: float) -> float:
        """Give the seconds from the last answer until calls may start again."""
        return max(self._held_until, now) - self._last_answer

    def _untold_hold(self) -> float:
        shortest = min(HOLD_UNTOLD_S, self._rate.gap_s) if self._rate.resting else HOLD_UNTOLD_S
        return min(shortest * 2.0 ** min(self._in_vain, 12), LONGEST_UNTOLD_HOLD_S)

    def _learn(self, call: Call, now: float) -> None:
        pace = self._pace_at_rest(call)
        if not self._in_vain and not self._chance.gap_s and pace:
            self._chance.rested(pace, self._hold_s)
        if self._chance.gap_s:
            self._end_measurement(now)
        elif not self._in_vain:
            self._cut(call, now)
        elif self._cap.refused_again(call.in_flight_before):
            self._rate.refused_again(self._refused_at, call.at)

    def _pace_at_rest(self, call: Call) -> float:
        """Give the calls a second that were allowed when a call was refused; 0 as long as that is being found out."""
        if self._cap.bounds:
            known = not self._cap.on_trial and call.in_flight_before < self._cap.limit and self._cap.between_s > 0
            return 1 / self._cap.between_s if known else 0.0
        return self._rate.reached() if self._rate.resting else 0.0

    def _end_measurement(self, now: float) -> None:
        """End a measurement of what is refused at random when it is over."""
        if self._chance.measured():
            # What was learned until now was learned from chance.
            self._rate, self._cap = Rate(self.most), ConcurrencyEstimate(self.most)
        elif not self._chance.gap_s:
            self._rate.forget(now)
        if not self._chance.gap_s:
            self._note(now)

    def _cut(self, call: Call, now: float) -> None:
        bounded = self._cap.bounds  # before: a trial that begins here lowers the rate all the same
        if self._cap.refused(call.in_flight_before):
            rest_s = max(self._rate.rest_s(self._hold_s), CALLS_A_STEP * self._cap.between_s)
            self._cap.try_no_more_before(now + self._hold_s + rest_s * self._patience)
            self._patience = min(self._patience * 2, LONGEST_PATIENCE)
        elif bounded:
            self._rate.forget(now)
        else:
            self._rate.refused(call.at, now, self._hold_s)

    def _try_more(self, now: float) -> None:
        """Allow a little more when what is allowed has held long enough."""
        self._rate.open()
        if not self._cap.bounds and self._rate.raise_when_due(now):
            self._note(now)

    def _note(self, now: float) -> None:
        self._rate.changed()
        bounded = self._rate.per_s < inf and not self._rate.opening and not self._cap.bounds
        per_s = 1 / self._chance.gap_s if self._chance.gap_s else self._rate.per_s if bounded else None
        limits = Limits(
            at_s=0.0 if self._began is None else round(now - self._began, 3),
            in_flight=self._cap.limit,
            per_s=None if per_s is None else round(per_s, 1),
        )
        if not self.history or replace(limits, at_s=self.history[-1].at_s) != self.history[-1]:
            if len(self.history) >= MOST_HISTORY:
                # Coarser, but from the beginning on.
                del self.history[1::2]
            self.history.append(limits)
