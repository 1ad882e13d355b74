"""Refusals at random: some services refuse a few calls whatever the pace, and pressing less only makes it slow."""

from collections import deque
from itertools import pairwise
from math import inf
from statistics import fmean

FAR_BELOW = 2.0
"""Refused at so small a part of a pace that was rested at, it is perhaps not for the pace."""
TEST = 2.0
"""A measurement makes calls so many times further apart than answers were, which a limit had let through."""
ENOUGH = 8
CALLS_EACH = 200
"""It ends with so many refused calls, or as soon as fewer than one in so many are refused: these are for a limit."""
MANY, UNLUCKY = 0.2, 3
"""More than that share of calls, and so many on top, are not refused by chance."""
DOUBTFUL = 0.12
"""A larger share is measured again at half the pace, until it stays: perhaps a limit is even lower by now."""
MARGIN = 1.25
"""What was measured from a few refusals may be too little."""
AT_FIRST, AT_MOST = 2.0, 10.0
"""So many more refusals than expected until now are by chance, too."""
LATEST = 32


class RandomRefusals:
    """Tells calls that are refused at random from those that are refused for what was sent.

    What a limit refuses becomes less with the pace, what is refused at random does not. Its share is measured at half
    the pace at which answers came, while nothing is cut. From then on so many refusals are expected, and they teach
    nothing.
    """

    def __init__(self) -> None:
        self.gap_s = 0.0
        """Seconds from one call to the next while a measurement goes on; else 0."""
        self._best = 0.0
        self._share = 0.0
        self._expected = 0.0
        self._excused = False
        self._answered: deque[float] = deque(maxlen=LATEST)
        # Since the latest measurement began; the share that it told at twice the pace.
        self._calls = self._refused = 0
        self._told_before = inf

    def started(self) -> None:
        """Count a call that starts."""
        self._calls += 1
        self._expected = min(self._expected + MARGIN * self._share, AT_MOST)

    def answered(self, now: float) -> None:
        """Count an answer."""
        self._answered.append(now)

    def refused(self, *, first: bool) -> bool:
        """Count a refused call, the first of its episode or not; say whether the episode was to be expected."""
        self._refused += 1
        if first:
            self._excused = self._expected >= 1
        # All calls of an episode: a burst of them uses up what is expected for long, and the next one is not.
        self._expected -= self._excused
        return self._excused

    def rested(self, pace: float, hold_s: float) -> None:
        """Take note of a pace at rest (calls a second) that was refused; begin a measurement far below the best one."""
        self._best = max(self._best, pace)
        if pace < self._best / FAR_BELOW and len(self._answered) == LATEST:
            self._best = pace
            # Holds count, but no longer pause.
            between_s = fmean(min(b - a, hold_s + 1 / pace) for a, b in pairwise(self._answered))
            self._measure(TEST * between_s, told_before=inf)

    def measured(self) -> bool:
        """End a measurement that is over; say whether more calls are refused at random than was known."""
        many = self._refused > UNLUCKY + MANY * self._calls
        enough = self._refused >= ENOUGH and not many
        hardly_any = self._calls >= CALLS_EACH * (self._refused + 1)
        if not (many or enough or hardly_any):
            return False
        share = (self._refused - 1) / self._calls if enough else 0.0
        if DOUBTFUL < share < self._told_before / 2:
            self._measure(TEST * self.gap_s, told_before=share)
            return False
        self.gap_s = 0.0
        more = share > 1.5 * self._share
        self._share = max(share, self._share)
        if more:
            self._expected = AT_FIRST
        return more

    def _measure(self, gap_s: float, told_before: float) -> None:
        self.gap_s = gap_s
        self._calls = self._refused = 0
        self._told_before = told_before
