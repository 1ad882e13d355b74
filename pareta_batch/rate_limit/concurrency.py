"""How many at once: learned from a service that refuses calls at the same number in flight, whatever their rate."""

from collections import deque
from collections.abc import Collection
from math import inf

from pareta_batch.rate_limit.probe_timer import ProbeTimer

EPISODES = 3
TURNS = 2
"""A trial lasts for so many times as many answers as are tried at once: what was saved up is used up by then."""
LATER, SOONER = 1.5, 0.9
"""One call more is sent a little later than calls came through, when a rate allows it. If that told nothing, a little
sooner: with a bound of one, later is after it is free again."""
APART_S = 0.0015
"""As far apart as 64 calls are when they open; closer, they overtake each other on a network of half a millisecond."""
DOUBTS = 3
"""So many refusals in a row that do not fit the number free it; a single one may have met calls on their way."""


class ConcurrencyEstimate:
    """Says how many calls may be in flight at any moment: `most`, or fewer once the service taught it.

    Refused again at one number, either so many are allowed at once, or so many came through at a rate or for what the
    service had saved up. A trial tells: never more than that at once, the one refuses none, the other soon. Then one
    more is sent, no sooner than they came through: the one refuses it, the other does not.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._allowed = inf  # what the service taught, or what is on trial
        self.on_trial = False
        self._tried = inf  # the lowest number that had a trial: no second one at it or above
        self._twice = False
        self._taught = most  # the number of which it was sure last
        self._doubts = 0
        self._believed = True
        self._step = 1
        self._next_try = ProbeTimer()
        self._refused_beside: deque[int] = deque(maxlen=EPISODES)
        # In each episode: calls that were answered, those of them while calls might start, the most beside one of them.
        self._answered = 0
        self._turned_over: deque[int] = deque([0], maxlen=EPISODES)
        self._answered_beside: deque[int] = deque([0], maxlen=EPISODES)
        self._first_start = self._latest_start = inf
        self.between_s = 0.0  # from one call to the next, on average, when last as many as are allowed turned over

    @property
    def limit(self) -> int:
        """How many may be in flight, calls that are being refused included."""
        return int(min(self._allowed, self.most))

    @property
    def bounds(self) -> bool:
        """Whether the service taught a number below the most."""
        return self.limit < self.most

    def bound(self, most: int) -> None:
        """Change how many may be in flight; a lower number that the service taught stays."""
        self.most = most
        if self.on_trial and not self.bounds:
            # Nothing was found out: it may be tried again.
            self._tried = inf
            self.free()

    def next_at(self, now: float, in_flight: int) -> float:
        """Give when one more call may start; infinite as long as too many are in flight."""
        if in_flight < self.limit:
            return now
        if in_flight > self.limit or not self._more_is_due(now):
            return inf
        at_leisure = self.on_trial and self._turned_over[-1] < 2 * TURNS * self.limit
        return max(now, self._latest_start + (LATER if at_leisure else SOONER) * self._between_starts_s())

    def apart_s(self) -> float:
        """Give the seconds that calls are kept apart, so that they arrive in the order in which they were sent."""
        return min(self.between_s / 4, APART_S)

    def started(self, now: float) -> None:
        """Count a call that starts now."""
        self._latest_start = now
        self._first_start = min(self._first_start, now)

    def answered(self, in_flight_before: int, now: float, *, held: bool, period_s: float) -> bool:
        """Count an answered call, which had so many beside it when it started; say if that allows more from now on.

        `held`: whether calls are held just now. `period_s`: how long more are to hold before even more are allowed.
        """
        self._answered += 1
        self._turned_over[-1] += not held
        self._answered_beside[-1] = max(self._answered_beside[-1], in_flight_before)
        if in_flight_before < self.limit or not self._more_is_due(now):
            return False
        if not self.on_trial:
            # One more, and after each period twice as many more: it is not what bounds us any more.
            self._taught, self._allowed = self.limit, self.limit + self._step
            self._step *= 2
            self._next_try.at = now + period_s
        elif self.limit < self._tried + _slack(self._tried):
            self._allowed = self.limit + 1
        else:
            self.free()
        return True

    def refused(self, in_flight_before: int) -> bool:
        """Count a refused call, the first of its episode; say whether it was for the number in flight."""
        if self._refused_beside and not self._answered:
            # The same calls in flight, no evidence of its own.
            self._refused_beside.pop()
        self._refused_beside.append(in_flight_before)
        if self.on_trial:
            self._end_trial(in_flight_before)
        elif self.bounds:
            self._lower(in_flight_before)
        elif self._may_be_one():
            self._try(min(self._two_latest()))
        if self._turned_over[-1] >= self.limit:
            self.between_s = self._between_starts_s()
        self._step = 1
        self._answered = 0
        self._turned_over.append(0)
        self._answered_beside.append(0)
        self._first_start = self._latest_start = inf
        return self.bounds and not self.on_trial

    def refused_again(self, in_flight_before: int) -> bool:
        """Count a call refused as the first after a hold; say whether it was certainly not for the number in flight."""
        if (
            in_flight_before
            and self._refused_beside
            and in_flight_before + _slack(in_flight_before) >= self._refused_beside[-1]
        ):
            return False
        self._refused_beside.clear()
        return True

    def try_no_more_before(self, until: float) -> None:
        """Put off when one more is tried."""
        self._next_try.at = until

    def put_off(self, now: float, period_s: float) -> None:
        """Try no more for a while, after an error that has another reason."""
        self._next_try.put_off(now + period_s)

    def free(self) -> None:
        """Bound no more below the most."""
        self._allowed = inf
        self.on_trial = False

    def _more_is_due(self, now: float) -> bool:
        due = self._turned_over[-1] >= TURNS * self.limit if self.on_trial else now >= self._next_try.at
        return self.bounds and due

    def _between_starts_s(self) -> float:
        return (self._latest_start - self._first_start) / max(self._turned_over[-1], 1)

    def _end_trial(self, in_flight_before: int) -> None:
        if in_flight_before >= self.limit:
            self._taught = self.limit
            self.on_trial = False
            return
        if in_flight_before >= self._tried and not self._twice:
            # The one more may have met an answer on its way: worth a second trial.
            self._tried, self._twice = in_flight_before + 1, True
        self.free()

    def _lower(self, in_flight_before: int) -> None:
        far_below = in_flight_before < max(self._taught - _slack(self._taught), 1)
        after_more = self._step > 1 and in_flight_before <= self._taught
        self._doubts = self._doubts + 1 if far_below or after_more else 0
        if self._doubts == DOUBTS:
            self._doubt_it()
        elif not far_below:
            self._allowed = in_flight_before

    def _doubt_it(self) -> None:
        self._doubts = 0
        lower = min(self._refused_beside)
        if 0 < lower < self._tried and _alike(self._refused_beside):
            # The service allows fewer now.
            self._try(lower)
        else:
            self.free()
            self._believed = False

    def _try(self, number: int) -> None:
        self._tried = self._allowed = number
        self.on_trial = True

    def _may_be_one(self) -> bool:
        """Whether calls were refused at one number in flight, which no answered call has seen beside it of late.

        Three times, or twice before any were answered.
        """
        latest = self._two_latest()
        if 2 * sum(list(self._turned_over)[-2:]) < min(latest):
            refused, enough = latest, 2
        else:
            refused, enough = list(self._refused_beside), EPISODES
        new = self._believed and 0 < min(latest) < self._tried
        unseen = max(self._answered_beside) < max(refused) + _slack(min(refused))
        return new and len(refused) == enough and _alike(refused) and unseen

    def _two_latest(self) -> list[int]:
        return list(self._refused_beside)[-2:]


def _alike(refused: Collection[int]) -> bool:
    return max(refused) - min(refused) <= _slack(min(refused))


def _slack(number: float) -> float:
    # An answer on its way back still counts here and no more at the service.
    return 1 + number // 10
