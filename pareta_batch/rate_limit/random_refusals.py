"""Random refusals: services that refuse some calls at any rate, where a lower rate does not help."""

from collections import deque
from itertools import pairwise
from math import inf
from statistics import fmean

MIN_RATE_DROP = 2.0
"""Ratio of the best rate to a refused rate that starts a measurement; higher measures less often."""
MEASUREMENT_GAPS = 2.0
"""Interval between calls in a measurement, in mean intervals between answers; higher measures longer, more surely."""
MIN_REFUSALS = 8
"""Refused calls that complete a measurement; higher is more precise and takes longer."""
MIN_CALLS_PER_REFUSAL = 200
"""Calls per refusal above which refusals are not random but due to a limit; higher measures longer."""
MAX_SHARE, SLACK_REFUSALS = 0.2, 3
"""Upper bound of the refused calls in a measurement, as a share and a constant; higher accepts more as random."""
MAX_ACCEPTED_SHARE = 0.12
"""Share above which the measurement is repeated at half the rate: a limit may have fallen; higher repeats less."""
SHARE_MARGIN = 1.25
"""Factor on the measured share, which comes from few refusals; higher ignores more refusals."""
INITIAL_SLACK, MAX_SLACK = 2.0, 10.0
"""Slack: refusals beyond the expected count that still count as random, first and at most. Higher ignores more."""
MAX_ANSWERS = 32
"""Latest answers whose mean interval is used; higher averages over a longer time."""


class RandomRefusals:
    """Estimate of the share of calls that are refused at random.

    A limit refuses fewer calls at a lower rate; random refusals do not depend on the rate. The share is measured at
    half the rate of answers, while no limit is lowered. From then on, that many refusals are expected and ignored.
    """

    def __init__(self) -> None:
        self.gap_s = 0.0
        """Seconds between calls during a measurement; otherwise 0."""
        self._best = 0.0
        self._share = 0.0
        self._expected = 0.0
        self._is_ignored = False
        self._answered: deque[float] = deque(maxlen=MAX_ANSWERS)
        # Calls and refusals of the present measurement, and the share that the last one found at twice the rate.
        self._calls = self._refused = 0
        self._previous_share = inf

    def started(self) -> None:
        """Count a call that starts."""
        self._calls += 1
        self._expected = min(self._expected + SHARE_MARGIN * self._share, MAX_SLACK)

    def answered(self, now: float) -> None:
        """Count an answer."""
        self._answered.append(now)

    def refused(self, *, first: bool) -> bool:
        """Count a refused call; return whether its burst of refusals was expected.

        `first`: whether it is the first of its burst.
        """
        self._refused += 1
        if first:
            self._is_ignored = self._expected >= 1
        # Every call of a burst counts: after a large burst, the next one is not expected.
        self._expected -= self._is_ignored
        return self._is_ignored

    def refused_at_rest(self, rate: float, pause_s: float) -> None:
        """Record a settled rate (calls per second) that was refused; far below the best one, start a measurement."""
        self._best = max(self._best, rate)
        if rate < self._best / MIN_RATE_DROP and len(self._answered) == MAX_ANSWERS:
            self._best = rate
            # A rate-limit pause counts in full, a longer gap does not.
            interval_s = fmean(min(b - a, pause_s + 1 / rate) for a, b in pairwise(self._answered))
            self._measure(MEASUREMENT_GAPS * interval_s, previous_share=inf)

    def measured(self) -> bool:
        """End a complete measurement; return whether it found a higher share of random refusals than before."""
        too_many = self._refused > SLACK_REFUSALS + MAX_SHARE * self._calls
        enough = self._refused >= MIN_REFUSALS and not too_many
        nearly_none = self._calls >= MIN_CALLS_PER_REFUSAL * (self._refused + 1)
        if not (too_many or enough or nearly_none):
            return False
        share = (self._refused - 1) / self._calls if enough else 0.0
        if MAX_ACCEPTED_SHARE < share < self._previous_share / 2:
            self._measure(MEASUREMENT_GAPS * self.gap_s, previous_share=share)
            return False
        self.gap_s = 0.0
        is_higher = share > 1.5 * self._share
        self._share = max(share, self._share)
        if is_higher:
            self._expected = INITIAL_SLACK
        return is_higher

    def _measure(self, gap_s: float, previous_share: float) -> None:
        self.gap_s = gap_s
        self._calls = self._refused = 0
        self._previous_share = previous_share
