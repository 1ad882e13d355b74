"""Estimate of a service's concurrency limit, from refusals at the same number of calls in flight."""

from collections import deque
from collections.abc import Collection
from math import inf

from pareta_batch.rate_limit.probe_timer import ProbeTimer

MIN_BURSTS = 3
"""Bursts of refusals at similar numbers in flight that start a trial; higher detects a limit later and more surely."""
TRIAL_TURNOVERS = 2
"""Length of a trial, in multiples of the tried limit; long enough to drain a burst allowance. Higher decides later."""
LATE_PROBE_INTERVALS, EARLY_PROBE_INTERVALS = 1.5, 0.9
"""Delay of a probe call, as a multiple of the mean interval between calls: first later, so that a rate limit allows it.
If that shows nothing, sooner: with a limit of 1, a late probe only finds an idle service."""
MAX_SPACING_S = 0.0015
"""Upper bound of the seconds between calls; higher keeps their order on slower networks and sends more slowly."""
MAX_CONTRADICTIONS = 3
"""Consecutive refusals that contradict the estimate and end it; higher tolerates more calls out of order."""


class ConcurrencyEstimate:
    """The maximum number of calls in flight: `most`, or a lower limit learned from refusals.

    Repeated refusals at one number in flight have two possible causes: a concurrency limit, or a rate limit with a
    burst allowance. A trial caps the calls in flight at that number. A concurrency limit then refuses none, a rate
    limit soon refuses some. At its end a probe adds one call, no sooner than calls were answered: a concurrency limit
    refuses it, a rate limit does not.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._allowed = inf  # the learned limit, or the one on trial
        self.on_trial = False
        self._tried = inf  # the lowest limit that had a trial: none at or above it has a second one
        self._retried = False
        self._confirmed = most  # the limit that was confirmed last
        self._contradictions = 0
        self._is_trusted = True
        self._step = 1
        self._next_probe = ProbeTimer()
        self._refused_in_flight: deque[int] = deque(maxlen=MIN_BURSTS)
        # Since each burst of refusals: answered calls, those outside a pause, and the most in flight before one.
        self._answered = 0
        self._turnovers: deque[int] = deque([0], maxlen=MIN_BURSTS)
        self._answered_in_flight: deque[int] = deque([0], maxlen=MIN_BURSTS)
        self._first_start = self._latest_start = inf
        self.interval_s = 0.0  # mean seconds between starts, measured over at least `limit` answers

    @property
    def limit(self) -> int:
        """Maximum number of calls in flight, including calls that are being refused."""
        return int(min(self._allowed, self.most))

    @property
    def bounds(self) -> bool:
        """Whether a limit below `most` was learned."""
        return self.limit < self.most

    def bound(self, most: int) -> None:
        """Set the maximum of calls in flight; a lower learned limit is kept."""
        self.most = most
        if self.on_trial and not self.bounds:
            # The trial had no result: it may be repeated.
            self._tried = inf
            self.discard()

    def next_at(self, now: float, in_flight: int) -> float:
        """Return the time at which another call may start; infinite while the limit is reached."""
        if in_flight < self.limit:
            return now
        if in_flight > self.limit or not self._probe_is_due(now):
            return inf
        probes_late = self.on_trial and self._turnovers[-1] < 2 * TRIAL_TURNOVERS * self.limit
        return max(
            now,
            self._latest_start
            + (LATE_PROBE_INTERVALS if probes_late else EARLY_PROBE_INTERVALS) * self._mean_interval_s(),
        )

    def spacing_s(self) -> float:
        """Return the minimum seconds between calls that keeps them in order on the network."""
        return min(self.interval_s / 4, MAX_SPACING_S)

    def skip(self, seconds: float) -> None:
        """Exclude seconds in which other limiters had their turns from the time between calls."""
        self._first_start += seconds
        self._latest_start += seconds

    def started(self, now: float) -> None:
        """Count a call that starts now."""
        self._latest_start = now
        self._first_start = min(self._first_start, now)

    def answered(self, in_flight_before: int, now: float, *, paused: bool, period_s: float) -> bool:
        """Count an answered call; return whether it raised the limit.

        Args:
            in_flight_before: other calls in flight when it started.
            now: seconds.
            paused: whether calls are paused now.
            period_s: seconds without a refusal until the limit is raised again.
        """
        self._answered += 1
        self._turnovers[-1] += not paused
        self._answered_in_flight[-1] = max(self._answered_in_flight[-1], in_flight_before)
        if in_flight_before < self.limit or not self._probe_is_due(now):
            return False
        if not self.on_trial:
            # Raise by 1, 2, 4 …: the limit of the service may have been raised or removed.
            self._confirmed, self._allowed = self.limit, self.limit + self._step
            self._step *= 2
            self._next_probe.at = now + period_s
        elif self.limit < self._tried + _slack(self._tried):
            self._allowed = self.limit + 1
        else:
            self.discard()
        return True

    def refused(self, in_flight_before: int) -> bool:
        """Count the first refused call of a burst; return whether the concurrency limit explains it."""
        if self._refused_in_flight and not self._answered:
            # No answer since the last burst: the same calls in flight are no new evidence.
            self._refused_in_flight.pop()
        self._refused_in_flight.append(in_flight_before)
        if self.on_trial:
            self._end_trial(in_flight_before)
        elif self.bounds:
            self._lower(in_flight_before)
        elif self._suggests_limit():
            self._start_trial(min(list(self._refused_in_flight)[-2:]))
        if self._turnovers[-1] >= self.limit:
            self.interval_s = self._mean_interval_s()
        self._step = 1
        self._answered = 0
        self._turnovers.append(0)
        self._answered_in_flight.append(0)
        self._first_start = self._latest_start = inf
        return self.bounds and not self.on_trial

    def refused_again(self, in_flight_before: int) -> bool:
        """Count a refusal of the first call after a pause; return whether no concurrency limit explains it."""
        if (
            in_flight_before
            and self._refused_in_flight
            and in_flight_before + _slack(in_flight_before) >= self._refused_in_flight[-1]
        ):
            return False
        self._refused_in_flight.clear()
        return True

    def delay_probe_until(self, until: float) -> None:
        """Set the time of the next probe."""
        self._next_probe.at = until

    def postpone_probe(self, now: float, period_s: float) -> None:
        """Defer the next probe after an error other than a refusal."""
        self._next_probe.postpone(now + period_s)

    def discard(self) -> None:
        """Discard the learned limit."""
        self._allowed = inf
        self.on_trial = False

    def _probe_is_due(self, now: float) -> bool:
        due = self._turnovers[-1] >= TRIAL_TURNOVERS * self.limit if self.on_trial else now >= self._next_probe.at
        return self.bounds and due

    def _mean_interval_s(self) -> float:
        return (self._latest_start - self._first_start) / max(self._turnovers[-1], 1)

    def _end_trial(self, in_flight_before: int) -> None:
        if in_flight_before >= self.limit:
            self._confirmed = self.limit
            self.on_trial = False
            return
        if in_flight_before >= self._tried and not self._retried:
            # The probe may have arrived before an answer was counted: one second trial.
            self._tried, self._retried = in_flight_before + 1, True
        self.discard()

    def _lower(self, in_flight_before: int) -> None:
        far_below = in_flight_before < max(self._confirmed - _slack(self._confirmed), 1)
        while_raising = self._step > 1 and in_flight_before <= self._confirmed
        self._contradictions = self._contradictions + 1 if far_below or while_raising else 0
        if self._contradictions == MAX_CONTRADICTIONS:
            self._replace_or_discard()
        elif not far_below:
            self._allowed = in_flight_before

    def _replace_or_discard(self) -> None:
        self._contradictions = 0
        lower = min(self._refused_in_flight)
        if 0 < lower < self._tried and _are_similar(self._refused_in_flight):
            # The service lowered its limit.
            self._start_trial(lower)
        else:
            self.discard()
            self._is_trusted = False

    def _start_trial(self, limit: int) -> None:
        self._tried = self._allowed = limit
        self.on_trial = True

    def _suggests_limit(self) -> bool:
        """Return whether calls were refused at one number in flight that no recently answered call exceeded.

        This takes `MIN_BURSTS` bursts of refusals, or two if hardly any call was answered between them.
        """
        refused, required = list(self._refused_in_flight), MIN_BURSTS
        latest = min(refused[-2:])
        if 2 * sum(list(self._turnovers)[-2:]) < latest:
            refused, required = refused[-2:], 2
        is_new = self._is_trusted and 0 < latest < self._tried
        unseen = max(self._answered_in_flight) < max(refused) + _slack(min(refused))
        return is_new and len(refused) == required and _are_similar(refused) and unseen


def _are_similar(refused: Collection[int]) -> bool:
    return max(refused) - min(refused) <= _slack(min(refused))


def _slack(in_flight: float) -> float:
    # An answer on the network is still in flight here, but no longer at the service.
    return 1 + in_flight // 10
