"""How many calls, and how fast: learned from what was refused, decided without a clock of its own.

A service that allows R requests a second is learned as a *rate*: calls start evenly spaced, each episode of refusals
cuts the rate once, and what held and what was refused close in on R from both sides. By Little's law a bound on calls
alone cannot do it: calls in flight = rate × latency, and latency varies. A service that allows C calls at once shows
itself by refusing at the same number in flight whatever the rate; then the number is bounded and the rate is not.
"""

from collections import deque
from dataclasses import dataclass, replace
from math import inf

from pareta_batch.chance import Chance

OPENING_S = 0.1
"""The first calls are spread over so many seconds: a limit shows after a few of them, without one little is lost."""
HOLD_UNTOLD_S = 0.02
LONGEST_UNTOLD_HOLD_S = 8.0
CUT = 0.5
CLOSE = 1.03
"""A refused rate so close above one that held is the limit: no use to look between."""
FARTHER = 1.25
EPISODES_OF_A_CAP = 3
TIMER_LATE_S = 0.003
FEW, RECENT = 10, 256
MOST_HISTORY = 1_000


@dataclass(frozen=True)
class Call:
    """A call that was started: when (seconds), and how many others were in flight then."""

    at: float
    beside: int


@dataclass(frozen=True)
class Limits:
    """What was allowed from a moment on (seconds since the first call): calls in flight, calls a second if bounded."""

    at_s: float
    in_flight: int
    per_s: float | None


class Throttle:
    """Says when the next call may start; `most` may be in flight at any moment."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.in_flight = 0
        self.refusals = 0
        self.limit = most
        self.history: deque[Limits] = deque(maxlen=MOST_HISTORY)
        self._rate = most / OPENING_S
        self._opening = True
        self._began: float | None = None
        self._next_at = 0.0
        self._held_until = 0.0
        self._last_answer = 0.0
        # The last episodes of refusals: when, how long the hold, how many were in flight.
        self._cut_at = -inf
        self._hold_s = 0.0
        self._untold = 0
        self._refused_beside: deque[int] = deque(maxlen=EPISODES_OF_A_CAP)
        self._answered_beside = 0
        self._answered_since = False
        self._resting = False
        self._step = 1
        self._stride = CLOSE
        self._cap = most
        self._believes_caps = True
        # The highest rate that held, the lowest that was refused since; when the next may be tried.
        self._held_rate = 0.0
        self._too_fast = inf
        self._try_at = self._put_off_to = inf
        self._patience = 1.0
        self._sent: deque[float] = deque(maxlen=RECENT)
        self._chance = Chance()
        self._cut_to = inf

    def wait(self, now: float) -> float | None:
        """Give the seconds until the next call may start; None while too many are in flight."""
        self._try_more(now)
        if now < self._held_until:
            return self._held_until - now
        if self.in_flight >= self.limit:
            return None
        return max(0.0, self._next_at - now)

    def bound(self, most: int) -> None:
        """Change how many may be in flight; a lower number that the service taught stays."""
        self.limit = most if self.limit == self.most else min(self.limit, most)
        self.most = most

    def started(self, now: float) -> Call:
        """Count a call that starts now."""
        if self._began is None:
            self._began = self._last_answer = now
            self._note(now)
        call = Call(now, self.in_flight)
        self.in_flight += 1
        self._sent.append(now)
        self._chance.started(now)
        # Where calls are further apart than a timer is late, lateness is not made up for: two would come too close.
        gap = 1 / self._rate
        self._next_at = max(self._next_at + gap, now + gap - (TIMER_LATE_S if gap < TIMER_LATE_S else 0.0))
        return call

    def answered(self, call: Call, now: float) -> None:
        """Count an answer."""
        self.in_flight -= 1
        self._last_answer = now
        self._untold = 0
        self._chance.count(refused=False)
        self._answered_since = True
        self._answered_beside = max(self._answered_beside, call.beside)

    def failed(self, call: Call, now: float) -> None:
        """Count a call that failed for another reason than too much pressure: no time to try more."""
        self.in_flight -= 1
        if self._try_at != self._put_off_to:
            # Once for each try: a service that fails now and then would keep a low rate low for ever.
            self._try_at = self._put_off_to = max(self._try_at, now + self._period())

    def refused(self, call: Call, now: float, retry_after: float | None) -> None:
        """Count a call that was one too many: everybody holds, and the limits are cut once in each episode."""
        self.in_flight -= 1
        self.refusals += 1
        self._chance.count(refused=True)
        first = call.at > self._cut_at
        hold = self._untold_hold(first) if retry_after is None else retry_after
        self._held_until = max(self._held_until, now + hold)
        if first:
            self._hold_s = hold
            if not self._is_at_random(call):
                self._cut(call, now)
            self._cut_at = now
            self._note(now)

    def starving_s(self, now: float) -> float:
        """Give the seconds from the last answer until calls may start again."""
        return max(self._held_until, now) - self._last_answer

    def _untold_hold(self, first: bool) -> float:
        self._untold += first
        return min(HOLD_UNTOLD_S * 2.0 ** min(self._untold - 1, 10), LONGEST_UNTOLD_HOLD_S)

    def _is_at_random(self, call: Call) -> bool:
        """Whether calls are refused whatever the rate, a few of them: then nothing is gained by pressing less."""
        before = self._chance.found
        found = self._chance.judge(self._rate, (*self._refused_beside, call.beside))
        if found and not before:
            self._cut_to, self.limit = self._rate, self.most
            self._rate, self._held_rate, self._too_fast, self._try_at = inf, 0.0, inf, inf
        elif before and not found:
            self._rate = self._cut_to
        return found

    def _cut(self, call: Call, now: float) -> None:
        self._opening = False
        rate = min(self._rate, self._reached() * CLOSE)
        if self._refused_beside and not self._answered_since:
            # Nothing came back in between: the same calls in flight, no evidence of its own.
            self._refused_beside.pop()
        self._refused_beside.append(call.beside)
        self._answered_since = False
        if self.limit < self.most and call.beside < self._cap - 1 - self._cap // 10:
            # Refused far below it: it was no bound on calls at once after all.
            self.limit, self._believes_caps = self.most, False
        if self.limit < self.most:
            self.limit = max(1, call.beside)
        elif self._is_a_cap():
            self._cap = self.limit = min(self._refused_beside)
        if self.limit < self.most:
            self._step = 1
            self._rate, self._held_rate, self._too_fast = inf, 0.0, inf
            self._rest(now)
        else:
            self._cut_rate(rate, now)

    def _is_a_cap(self) -> bool:
        """Whether calls are refused at one number in flight, which no answered call has seen beside it."""
        refused = self._refused_beside
        if not self._believes_caps or len(refused) < EPISODES_OF_A_CAP or min(refused) < EPISODES_OF_A_CAP:
            return False
        # An answer on its way back still counts here and no more at the service.
        slack = 1 + min(refused) // 10
        return max(refused) - min(refused) <= slack and self._answered_beside < min(refused) + slack

    def _cut_rate(self, rate: float, now: float) -> None:
        self._too_fast, self._stride = rate, CLOSE
        if self._held_rate >= rate * 0.99:
            # What had held was saved up by the service, or came a little closer together this time.
            self._rate = self._held_rate = rate * 0.96
            self._rest(now)
            return
        if not self._held_rate:
            self._rate = rate * CUT
        elif self._too_fast / self._held_rate > CLOSE:
            self._rate = (self._held_rate * self._too_fast) ** 0.5
        else:
            self._rate = self._held_rate
            self._rest(now)
            return
        self._try_at = now + self._hold_s + self._period()

    def _try_more(self, now: float) -> None:
        """Allow a little more when what is allowed has held long enough."""
        if self._opening and self._began is not None and now - self._began > OPENING_S:
            self._opening, self._rate = False, inf
        if now < self._try_at or now < self._held_until:
            return
        if self.limit < self.most:
            # One more, and once that held, twice as many more: it is not what bounds us any more.
            self.limit = min(self.most, self.limit + self._step)
            self._step *= 2
            self._try_at = now + self._period()
            self._note(now)
        elif self._rate < inf:
            self._raise_rate(now)
            self._note(now)

    def _raise_rate(self, now: float) -> None:
        if self._reached() < 0.7 * self._rate:
            # Something else bounds us: that this rate was not refused says nothing.
            if self._too_fast == inf:
                self._rate = inf
            self._try_at = now + self._period()
            return
        self._held_rate = max(self._held_rate, self._rate)
        if self._too_fast == inf:
            # What was tried last held too: the limit has moved.
            self._patience = 1.0
            self._stride = min(self._stride**2, FARTHER)
            self._rate *= self._stride
        elif self._too_fast / self._held_rate > CLOSE:
            self._rate = (self._held_rate * self._too_fast) ** 0.5
        elif self._resting:
            self._resting, self._too_fast = False, inf
            self._rate *= self._stride
        else:
            self._rest(now)
            return
        self._try_at = now + self._period()

    def _rest(self, now: float) -> None:
        self._resting = True
        self._try_at = now + self._hold_s + self._rest_s() * self._patience
        self._patience = min(self._patience * 2, 16.0)

    def _period(self) -> float:
        """Seconds that a rate must hold to count: long against a hold, and some calls."""
        return max(min(2 * self._hold_s, 2.0), 20 / min(self._rate, 1e6), OPENING_S)

    def _rest_s(self) -> float:
        """Seconds between attempts to find more: a refused one costs a hold, all of them at most some per cent."""
        return max(50 * self._hold_s, 100 / max(min(self._rate, self._reached()), 0.1))

    def _reached(self) -> float:
        """Calls a second that were started since the limits changed; what is allowed while they are too few to tell."""
        if len(self._sent) < FEW:
            return min(self._rate, self.most / OPENING_S)
        return (len(self._sent) - 1) / max(self._sent[-1] - self._sent[0], 1e-3)

    def _note(self, now: float) -> None:
        self._sent.clear()
        per_s = None if self._rate == inf or self._opening else round(self._rate, 1)
        limits = Limits(round(now - (self._began or now), 3), self.limit, per_s)
        if not self.history or replace(limits, at_s=self.history[-1].at_s) != self.history[-1]:
            self.history.append(limits)
