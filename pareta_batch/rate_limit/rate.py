"""How fast: closes in on a rate that a service allows without telling, from what held and what was refused.

First a search: halved until a rate holds, then between what held and what was refused. Then it rests close to the
limit: a little less after each refusal, a little more after so many calls without one. So both happen equally often,
and how many calls are refused follows from how many are waited for, whatever makes a service refuse a call: a rate,
calls that came a little too close together, a machine that is late. By Little's law a bound on calls in flight cannot
do this: calls in flight = rate × latency, and latency varies.
"""

from collections import deque
from dataclasses import dataclass, replace
from math import inf

from pareta_batch.rate_limit.probe_timer import ProbeTimer

OPENING_S = 0.1
"""The first calls are spread over so many seconds: a limit shows after a few of them, without one little is lost."""
CUT = 0.5
LOWEST_SEARCHED = 4.0
"""So many calls a second are halved no more, but closed in on step by step: refusals at random would go on for ever."""
CLOSE = 1.03
"""A refused rate so close above one that held is the limit: no use to look between."""
STEP = 1.03
STEPS_ALIKE = 3
"""After so many steps in one direction the limit is not near: each further one is twice as long."""
LONGEST_STEP = 1.25
MOST_DOUBLED = 3
CALLS_A_STEP = 50
"""At rest one call in so many may be refused; less waste is a lower rate wherever calls come unevenly."""
HOLDS_A_STEP = 50
"""And held no more than one second in so many."""
TIMER_LATE_S = 0.003
FEW, RECENT = 10, 256
SHORT_S = 0.02
"""Calls of so short a time say nothing about a rate."""
LONG = 20
"""A hold of so many calls: when it is over, the service has saved up all that it saves."""


@dataclass
class _Segment:
    """Calls that were allowed since a moment when the service had saved up all that it saves, until one was refused.

    Of `after_hold` it is sure; of those that begin with a higher rate, only if the one before was low enough.
    """

    since: float
    after_hold: bool = False
    lasted: float = 0.0
    calls: float = 0


class Rate:
    """Says how many calls a second may start."""

    def __init__(self, most: int) -> None:
        self.per_s = self._opening_rate = most / OPENING_S
        self.opening = True
        self._calls_to_open = most
        # The highest rate that held, the lowest that was refused since; when the next may be tried.
        self._held = 0.0
        self._too_fast = self._at_most = inf  # the latter for the next estimate alone
        self.resting = False
        self._steps = 0  # in one direction: up if positive
        self._hold_s = 0.0
        self._next_try = ProbeTimer()
        self._sent: deque[float] = deque(maxlen=RECENT)
        self._segment = _Segment(inf)
        self._shortest: _Segment | None = None

    @property
    def gap_s(self) -> float:
        """Seconds from one call to the next."""
        return 1 / self.per_s

    def started(self, now: float) -> None:
        """Count a call that starts now."""
        self._calls_to_open -= 1
        if self.opening and self._sent and now - self._sent[-1] > SHORT_S + 2 * self.gap_s:
            # A machine that stood still sent more than this a second before and after.
            self._sent.clear()
        self._sent.append(now)
        self._segment.calls += 1

    def after(self, due: float, now: float) -> float:
        """Give when the next call may start, after one that was due and has started now."""
        # Lateness is made up for where calls are closer together than a timer is late; else two would come too close.
        return max(due + self.gap_s, now + self.gap_s - max(TIMER_LATE_S - self.gap_s, 0.0))

    def changed(self) -> None:
        """Begin to measure anew."""
        self._sent.clear()

    def forget(self, now: float) -> None:
        """Learn nothing from the calls since the last refusal: something else bounded them."""
        self._segment = _Segment(inf)
        self._next_try.at = max(self._next_try.at, now + self.period_s)

    def open(self) -> None:
        """End the opening when it is over."""
        if self.opening and self._calls_to_open <= 0:
            self.opening, self.per_s = False, inf

    def put_off(self, now: float) -> None:
        """Try no more for a while, after an error that has another reason."""
        self._next_try.put_off(now + self.period_s)

    def refused(self, sent: float, now: float, hold_s: float) -> None:
        """Take a refusal as one for the rate: lower it."""
        self.opening = False
        self._hold_s = hold_s
        estimate = self._estimate(sent, now, hold_s)
        if self.resting:
            self._step(-1, now, estimate)
        else:
            self._narrow(estimate, now)

    def refused_again(self, first: float, latest: float) -> None:
        """Learn from a call that was refused like all since the first: not one was saved up since then."""
        self._at_most = 1 / max(latest - first, 1e-3)

    def raise_when_due(self, now: float) -> bool:
        """Allow a little more when what is allowed has held long enough; say whether that changed anything."""
        if now < self._next_try.at or self.per_s == inf:
            return False
        if len(self._sent) < FEW or self.reached() < 0.5 * self.per_s:
            # Something else bounds us: that this rate was not refused says nothing.
            self._next_try.at = now + self.period_s
            return False
        self._segment = _Segment(now)
        if self.resting:
            self._step(1, now)
        else:
            self._held = max(self._held, self.per_s)
            self._look_between(now, hold_s=0.0)
        return True

    def rest_s(self, hold_s: float) -> float:
        """Seconds between attempts to find more: a refused one costs a hold, all of them at most some per cent."""
        return max(HOLDS_A_STEP * hold_s, CALLS_A_STEP / max(min(self.per_s, self.reached()), 0.1))

    def reached(self) -> float:
        """Calls a second that were started since the limits changed; what is allowed while they are too few to tell."""
        if len(self._sent) < FEW:
            return self._supposed()
        return _per_s(self._sent[0], self._sent[-1], len(self._sent))

    def fastest(self) -> float:
        """Calls a second up to the latest, at the fastest: for the latest few or for more of them."""
        sent = self._sent
        if len(sent) < FEW:
            return self._supposed()
        rates = [_per_s(at, sent[-1], len(sent) - n) for n, at in enumerate(sent) if sent[-1] - at >= SHORT_S]
        return max(rates, default=self.reached())

    def _supposed(self) -> float:
        return min(self.per_s, max(self._opening_rate, self._held))

    def _narrow(self, estimate: float | None, now: float) -> None:
        self._too_fast = refused = min(self.per_s, self.fastest() * CLOSE, self._at_most)
        self._at_most = inf
        if estimate is not None:
            # What held may have been saved up by the service in part.
            self.per_s = min(max(self._allowing_for_lateness(estimate), self._held * 0.95), refused / STEP)
            self._rest(now)
        elif not self._held and refused > LOWEST_SEARCHED:
            self.per_s = refused * CUT
            self._next_try.at = now + self._hold_s + self.period_s
        elif not self._held or self._held >= refused * 0.99:
            # What had held was saved up by the service, or came a little closer together this time.
            self.per_s = refused / STEP
            self._rest(now)
        else:
            self._look_between(now, self._hold_s)

    def _allowing_for_lateness(self, per_s: float) -> float:
        """Give the rate to allow for so many calls a second to start, which start as late as they did."""
        late_s = max(1 / self.reached() - self.gap_s, 0.0) if self.per_s < inf else 0.0
        return 1 / max(1 / per_s - late_s, 0.5 / per_s)

    def _look_between(self, now: float, hold_s: float) -> None:
        if self._too_fast / self._held > CLOSE:
            self.per_s = (self._held * self._too_fast) ** 0.5
            self._next_try.at = now + hold_s + self.period_s
        else:
            self.per_s = self._held
            self._rest(now)

    def _step(self, way: int, now: float, estimate: float | None = None) -> None:
        self._steps = way if self._steps * way < 0 else self._steps + way
        doubled = min(max(abs(self._steps) - STEPS_ALIKE, 0), MOST_DOUBLED)
        longer = min(STEP**2**doubled, LONGEST_STEP)
        lowest = self.per_s / LONGEST_STEP
        self.per_s *= longer**way
        if estimate is not None:
            self.per_s = min(self.per_s, max(self._allowing_for_lateness(estimate), lowest))
        self._rest(now)

    def _rest(self, now: float) -> None:
        self.resting = True
        self._next_try.at = now + self._hold_s + self.rest_s(self._hold_s)

    @property
    def period_s(self) -> float:
        """Seconds that a rate must hold to count: long against a hold, and some calls."""
        return max(min(2 * self._hold_s, 2.0), 20 / min(self.per_s, 1e6), OPENING_S)

    def _estimate(self, sent: float, now: float, hold_s: float) -> float | None:
        """Give the service's rate, once two segments of different length tell it; a little less, to rest there.

        calls = what it saves up + its rate × seconds, for each of them.
        """
        segment, self._segment = self._segment, _Segment(now + hold_s, after_hold=True)
        calls = segment.calls - (now - sent) * min(self.per_s, self.reached())
        segment = replace(segment, lasted=sent - segment.since, calls=calls)
        shortest = self._shortest
        if segment.lasted <= 0 or hold_s * self.per_s < LONG:
            return None
        if segment.after_hold and (shortest is None or segment.lasted < shortest.lasted):
            self._shortest = segment
        if shortest is None or segment.calls - shortest.calls < LONG or segment.lasted < 2 * shortest.lasted:
            return None
        return 0.98 * (segment.calls - shortest.calls) / (segment.lasted - shortest.lasted)


def _per_s(first: float, last: float, calls: int) -> float:
    return (calls - 1) / max(last - first, 1e-3)
