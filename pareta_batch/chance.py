"""Refusals at random: some services refuse a few calls whatever the rate, and pressing less only makes it slow."""

from collections import deque

FAR_BELOW = 4.0
"""Refused at so small a part of a rate that was answered, it is not for the rate."""
MANY = 0.2
"""A refused share of the latest calls that is not by chance."""
LATEST = 64


class Chance:
    """Tells calls that are refused at random from those that are refused for what was sent."""

    def __init__(self) -> None:
        self.found = False
        self._believed = True
        self._best_rate = 0.0
        self._latest: deque[bool] = deque(maxlen=LATEST)
        self._started: deque[float] = deque(maxlen=LATEST // 2)

    def started(self, now: float) -> None:
        """Count a call that starts."""
        self._started.append(now)

    def count(self, *, refused: bool) -> None:
        """Count a call that came back."""
        self._latest.append(refused)
        # At every call: answers to what was sent beside a burst of refusals follow it. Once mistaken, never again.
        self._believed = self._believed and not (self.found and self._are_many())

    def judge(self, rate: float, at_one_number: bool) -> bool:
        """Say whether a refusal at this rate was by chance; not where all were at one number in flight."""
        if not self._believed or self._are_many():
            self.found = False
        elif not self.found:
            self._best_rate = max(self._best_rate, self._reached())
            self.found = rate < self._best_rate / FAR_BELOW and not at_one_number
        return self.found

    def _are_many(self) -> bool:
        return sum(self._latest) > MANY * len(self._latest)

    def _reached(self) -> float:
        """Calls a second of late, holds and all; 0 while they are too few to tell."""
        calls = self._started
        return len(calls) / max(calls[-1] - calls[0], 1e-3) if len(calls) == calls.maxlen else 0.0
