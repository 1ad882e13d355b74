"""Estimate of a service's rate limit, from accepted and refused rates.

Search: the rate is halved until it is accepted, then bisected between accepted and refused rates. A full token bucket
of size b and rate R accepts n = b + R·t calls in the t seconds until it refuses one. So two segments end the search:

    R = (n₂ - n₁) / (t₂ - t₁)

At rest, close to the limit, the rate is lowered a little after each refusal. It is raised a little after a number of
calls without one. Both then happen equally often. So the share of refused calls follows from that number, for every
cause of a refusal: a rate limit, calls too close together, or a late timer.
"""

from collections import deque
from math import inf

from pareta_batch.rate_limit.probe_timer import ProbeTimer

RAMP_UP_S = 0.1
"""Seconds over which the first calls are spread; higher starts more slowly, and has fewer refusals at the start."""
CUT_FACTOR = 0.5
"""Factor on a refused rate during the search; higher lowers it less."""
MIN_SEARCHED_PER_S = 4.0
"""Calls per second below which a rate is lowered in steps, not halved; higher reacts less to random refusals."""
MAX_BRACKET_RATIO = 1.03
"""Ratio of refused to accepted rate at which the search ends; higher ends it earlier, with a lower rate."""
STEP_FACTOR = 1.03
"""Factor of one step at rest; higher follows changes faster, further from the limit."""
STEPS_BEFORE_DOUBLING = 3
"""Steps in one direction after which each further step is doubled; higher follows changes more slowly."""
MAX_STEP_FACTOR, MAX_DOUBLINGS = 1.25, 3
"""Upper bounds of a step: its factor, and its number of doublings; higher follows changes faster."""
PROBE_INTERVAL_CALLS = 50
"""Calls between two probes at rest, of which one may be refused; higher wastes fewer calls, at a lower rate."""
PROBE_INTERVAL_PAUSES = 50
"""Time between two probes at rest, in multiples of the pause; higher loses less time in pauses."""
SHARED_PROBE_FACTOR = 4.0
"""Divisor of the time between probes after steps in one direction, with other limiters; higher leaves a rate that is
too low sooner, which they may learn while all of them search, and passes the limit by more."""
MAX_TIMER_LATENESS_S = 0.003
"""Upper bound of the lateness of a timer that is compensated; higher allows calls closer together."""
MIN_CALLS, MAX_RECENT_CALLS = 10, 256
"""Calls from which a rate is measured, at least and at most; higher averages over a longer time."""
MIN_SPAN_S = 0.02
"""Minimum span in seconds of a measured rate; higher ignores longer bursts."""
MIN_PAUSE_CALLS = 20
"""Pause, in calls at the present rate, that refills the burst allowance of a service; higher estimates less often."""


class Rate:
    """The rate of calls, in calls per second."""

    def __init__(self, most: int) -> None:
        self.per_s = self._ramp_up_rate = most / RAMP_UP_S
        self.ramping_up, self.resting = True, False
        self._ramp_up_calls = most
        # The highest accepted rate, and the lowest rate that was refused since.
        self._accepted_rate = 0.0
        self._refused_rate = self._upper_bound = inf  # `_upper_bound` applies to the next refusal only
        self._steps = 0  # consecutive steps in one direction: up if positive
        self._pause_s, self._alone = 0.0, True
        self.time = 1.0  # the part of the time in which calls may start
        self._next_probe = ProbeTimer()
        self._sent: deque[float] = deque(maxlen=MAX_RECENT_CALLS)
        # The present segment: when the burst allowance was full, whether a pause filled it (a raise does so only if the
        # former rate was low enough), and the calls since. The shortest one: calls, seconds.
        self._full_at, self._after_pause, self._calls = inf, False, 0.0
        self._shortest: tuple[float, float] | None = None

    @property
    def gap_s(self) -> float:
        """Seconds between two calls."""
        return 1 / self.per_s

    def started(self, now: float) -> None:
        """Count a call that starts now."""
        self._ramp_up_calls -= 1
        if self.ramping_up and self._sent and now - self._sent[-1] > MIN_SPAN_S + 2 * self.gap_s:
            # The process was suspended: the rate across the gap would be too low.
            self._sent.clear()
        self._sent.append(now)
        self._calls += 1

    def next_at(self, due: float, now: float) -> float:
        """Return the start time of the next call, after a call that was due at `due` and started at `now`."""
        # Lateness is compensated only if calls are closer together than a timer is late.
        return max(due + self.gap_s, now + self.gap_s - max(MAX_TIMER_LATENESS_S - self.gap_s, 0.0))

    def skip(self, seconds: float, now: float) -> None:
        """Exclude the seconds before `now`, the turns of other limiters, from the time of this one."""
        self._sent = deque((at + seconds for at in self._sent), maxlen=MAX_RECENT_CALLS)
        self._full_at = min(self._full_at + seconds, now) if self._full_at < inf else inf
        self._next_probe.at += seconds

    def changed(self) -> None:
        """Restart the measurement of the rate."""
        self._sent.clear()

    def forget(self, now: float) -> None:
        """Ignore the calls since the last refusal: another limit bounded them."""
        self._full_at, self._after_pause, self._calls = inf, False, 0.0
        self._next_probe.at = max(self._next_probe.at, now + self.period_s)

    def end_ramp_up(self) -> None:
        """End the ramp-up once all its calls were started."""
        if self.ramping_up and self._ramp_up_calls <= 0:
            self.ramping_up, self.per_s = False, inf

    def postpone_probe(self, now: float) -> None:
        """Defer the next probe after an error other than a refusal."""
        self._next_probe.postpone(now + self.period_s)

    def allocate(self, per_s: float, now: float, *, alone: bool) -> None:
        """Continue at the share of an account's rate, which other limiters learned too unless this one is alone."""
        self.per_s, self.ramping_up, self._alone = per_s, False, alone
        if not self.resting:
            self._steps = STEPS_BEFORE_DOUBLING + 1
            self._rest(now)

    def search_again(self, per_s: float, now: float) -> None:
        """Search upwards: the rate, at most `per_s`, was lowered by collisions with the calls of other limiters."""
        self.changed()
        self.forget(now)
        self._refused_rate, self._upper_bound, self._shortest = self._ramp_up_rate, inf, None
        if self.resting:
            self.resting, self._accepted_rate = False, per_s
        if self._accepted_rate:
            self._bisect(now, pause_s=0.0)
        else:
            self.per_s = max(self.per_s, 4 * MIN_SEARCHED_PER_S)

    def refused(self, sent: float, now: float, pause_s: float) -> None:
        """Lower the rate after a refusal."""
        self.ramping_up, self._pause_s = False, pause_s
        estimate = self._estimate(sent, now, pause_s)
        if self.resting:
            self._step(-1, now, estimate)
        else:
            self._narrow(estimate, now)

    def refused_again(self, first: float, latest: float) -> None:
        """Learn an upper bound from repeated refusals: since the first, less than one call was allowed."""
        self._upper_bound = 1 / max(latest - first, 1e-3)

    def raise_when_due(self, now: float) -> bool:
        """Raise the rate if it was not refused for long enough; return whether it was raised."""
        if now < self._next_probe.at or self.per_s == inf:
            return False
        if len(self._sent) < MIN_CALLS or self.reached() < 0.5 * self.per_s:
            # Another limit bounds the calls: an unused rate that is not refused is no evidence.
            self._next_probe.at = now + self.period_s
            return False
        self._full_at, self._after_pause, self._calls = now, False, 0.0
        if self.resting:
            self._step(1, now)
        else:
            self._accepted_rate = max(self._accepted_rate, self.per_s)
            self._bisect(now, pause_s=0.0)
        return True

    def rest_s(self, pause_s: float) -> float:
        """Return the seconds between two probes: long enough that refused probes cost only a few per cent of time."""
        calls_s = PROBE_INTERVAL_CALLS / max(min(self.per_s, self.reached()), 0.1)
        return max(PROBE_INTERVAL_PAUSES * pause_s * self.time, calls_s)

    def reached(self) -> float:
        """Return the measured calls per second since the last change; with too few calls, the allowed rate."""
        sent = self._sent
        return self._assumed_rate() if len(sent) < MIN_CALLS else _per_s(sent[0], sent[-1], len(sent))

    def fastest(self) -> float:
        """Return the highest measured calls per second over any span that ends with the latest call."""
        sent = self._sent
        if len(sent) < MIN_CALLS:
            return self._assumed_rate()
        rates = [_per_s(at, sent[-1], len(sent) - n) for n, at in enumerate(sent) if sent[-1] - at >= MIN_SPAN_S]
        return max(rates, default=self.reached())

    def _assumed_rate(self) -> float:
        return min(self.per_s, max(self._ramp_up_rate, self._accepted_rate))

    def _narrow(self, estimate: float | None, now: float) -> None:
        self._refused_rate = refused = min(self.per_s, self.fastest() * MAX_BRACKET_RATIO, self._upper_bound)
        self._upper_bound = inf
        if estimate is not None:
            # Part of the accepted rate may have been burst allowance.
            self.per_s = min(
                max(self._compensate_lateness(estimate), self._accepted_rate * 0.95), refused / STEP_FACTOR
            )
            self._rest(now)
        elif not self._accepted_rate and refused > MIN_SEARCHED_PER_S:
            self.per_s = refused * CUT_FACTOR
            self._next_probe.at = now + self._pause_s + self.period_s
        elif not self._accepted_rate or self._accepted_rate >= refused * 0.99:
            # The accepted rate used the burst allowance, or the calls were closer together this time.
            self.per_s = refused / STEP_FACTOR
            self._rest(now)
        else:
            self._bisect(now, self._pause_s)

    def _compensate_lateness(self, per_s: float) -> float:
        """Return the target rate, compensated for the measured timer lateness."""
        late_s = max(1 / self.reached() - self.gap_s, 0.0) if self.per_s < inf else 0.0
        return 1 / max(1 / per_s - late_s, 0.5 / per_s)

    def _bisect(self, now: float, pause_s: float) -> None:
        if self._refused_rate / self._accepted_rate > MAX_BRACKET_RATIO:
            self.per_s = min((self._accepted_rate * self._refused_rate) ** 0.5, 2 * self._accepted_rate)
            self._next_probe.at = now + pause_s + self.period_s
        else:
            self.per_s = self._accepted_rate
            self._rest(now)

    def _step(self, direction: int, now: float, estimate: float | None = None) -> None:
        self._steps = direction if self._steps * direction < 0 else self._steps + direction
        doublings = min(max(abs(self._steps) - STEPS_BEFORE_DOUBLING, 0), MAX_DOUBLINGS)
        factor = min(STEP_FACTOR**2**doublings, MAX_STEP_FACTOR)
        lowest = self.per_s / MAX_STEP_FACTOR
        self.per_s *= factor**direction
        if estimate is not None:
            self.per_s = min(self.per_s, max(self._compensate_lateness(estimate), lowest))
        self._rest(now)

    def _rest(self, now: float) -> None:
        self.resting = True
        rest_s = self.rest_s(self._pause_s)
        if self._steps > STEPS_BEFORE_DOUBLING and not self._alone:
            rest_s = max(rest_s / SHARED_PROBE_FACTOR, 2 * RAMP_UP_S)
        self._next_probe.at = now + self._pause_s + rest_s

    @property
    def period_s(self) -> float:
        """Seconds without a refusal after which a rate is accepted: long compared with a pause and with a call."""
        return max(min(2 * self._pause_s, 2.0), 20 / min(self.per_s, 1e6), RAMP_UP_S)

    def _estimate(self, sent: float, now: float, pause_s: float) -> float | None:
        """Return 98 % of the service's rate, from two segments of different length; None without them."""
        calls = self._calls - (now - sent) * min(self.per_s, self.reached())
        lasted, after_pause, shortest = sent - self._full_at, self._after_pause, self._shortest
        self._full_at, self._after_pause, self._calls = now + pause_s, True, 0.0
        if lasted <= 0 or pause_s * self.per_s < MIN_PAUSE_CALLS:
            return None
        if after_pause and (shortest is None or lasted < shortest[1]):
            self._shortest = calls, lasted
        if shortest is None or calls - shortest[0] < MIN_PAUSE_CALLS or lasted < 2 * shortest[1]:
            return None
        return 0.98 * (calls - shortest[0]) / (lasted - shortest[1])


def _per_s(first: float, last: float, calls: int) -> float:
    return (calls - 1) / max(last - first, 1e-3)
