"""How many at once: learned from a service that refuses calls at the same number in flight, whatever their rate."""

from collections import deque

from pareta_batch.next_try import NextTry

EPISODES = 3


class Cap:
    """Says how many calls may be in flight at any moment: `most`, or fewer once the service taught it."""

    def __init__(self, most: int) -> None:
        self.most = self.limit = most
        self.refused_beside: deque[int] = deque(maxlen=EPISODES)
        self._answered_beside = 0
        self._came_back = 0
        self._in_vain = 0
        self._turned_over: deque[int] = deque([0], maxlen=EPISODES)
        self._taught = most
        self._believed = True
        self._step = 1
        self._next_try = NextTry()

    @property
    def bounds(self) -> bool:
        """Whether the service taught a number below the most."""
        return self.limit < self.most

    def bound(self, most: int) -> None:
        """Change how many may be in flight; a lower number that the service taught stays."""
        self.limit = min(self.limit, most) if self.bounds else most
        self.most = most

    def answered(self, beside: int, *, held: bool) -> None:
        """Count an answered call, which had so many beside it when it started, and say if calls are held just now."""
        self._came_back += 1
        self._turned_over[-1] += not held
        self._answered_beside = max(self._answered_beside, beside)

    def refused(self, beside: int) -> bool:
        """Count a refused call, the first of its episode; say whether it was for the number in flight."""
        if self.refused_beside and not self._came_back:
            # The same calls in flight, no evidence of its own.
            self.refused_beside.pop()
        self.refused_beside.append(beside)
        if self.bounds and beside < self._taught - 1 - self._taught // 10:
            # Refused far below it: it was no bound on calls at once after all.
            self.limit, self._believed = self.most, False
        if self.bounds:
            self.limit = max(1, beside)
        elif self._is_one():
            self._taught = self.limit = min(self.refused_beside)
        self._step = 1
        self._came_back = 0
        self._turned_over.append(0)
        return self.bounds

    def refused_again(self, beside: int) -> None:
        """Count a call that was refused as the first one after a hold."""
        # As many were in flight still: a rate would have allowed one by now. Fewer: it was not for their number.
        still = self.refused_beside and beside >= self.refused_beside[-1] > 0
        self._in_vain = self._in_vain + 1 if still else 0

    def wait(self, until: float) -> None:
        """Try no more before."""
        self._next_try.at = until

    def put_off(self, now: float, period_s: float) -> None:
        """Try no more for a while, after an error that has another reason."""
        self._next_try.put_off(now + period_s)

    def raise_when_due(self, now: float, period_s: float) -> bool:
        """Allow one more, and once that held, twice as many more: it is not what bounds us any more."""
        if not self.bounds or now < self._next_try.at:
            return False
        self.limit = min(self.most, self.limit + self._step)
        self._step *= 2
        self._next_try.at = now + period_s
        return True

    def free(self) -> None:
        """Bound no more below the most."""
        self.limit = self.most

    def _is_one(self) -> bool:
        """Whether calls are refused at one number in flight, which no answered call has seen beside it."""
        refused = self.refused_beside
        if not self._believed or len(refused) < EPISODES:
            return False
        if self._in_vain < EPISODES and (min(refused) < EPISODES or 2 * sum(self._turned_over) < refused[-1]):
            # Few, or the first calls after holds: so many may come through for what the service had saved up.
            return False
        # An answer on its way back still counts here and no more at the service.
        slack = 1 + min(refused) // 10
        return max(refused) - min(refused) <= slack and self._answered_beside < min(refused) + slack
