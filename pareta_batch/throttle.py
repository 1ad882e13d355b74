"""How many calls, and how fast: decided from what came back, without a clock of its own."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Call:
    """A call that was started: when (seconds), and how many others were in flight then."""

    at: float
    beside: int


class Throttle:
    """Bounds the calls in flight, and holds everybody as long as the service asks."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.in_flight = 0
        self._held_until = 0.0
        self._last_answer: float | None = None

    def wait(self, now: float, *, waiting: int) -> float | None:
        """Give the seconds until the next call may start; None while too many are in flight."""
        if now < self._held_until:
            return self._held_until - now
        return 0.0 if self.in_flight < self.most else None

    def started(self, now: float) -> Call:
        """Count a call that starts now."""
        if self._last_answer is None:
            self._last_answer = now
        call = Call(now, self.in_flight)
        self.in_flight += 1
        return call

    def answered(self, call: Call, now: float) -> None:
        """Count an answer."""
        self._last_answer = now
        self.in_flight -= 1

    def failed(self, call: Call, now: float) -> None:
        """Count a call that failed for another reason than too much pressure."""
        self.in_flight -= 1

    def refused(self, call: Call, now: float, retry_after: float | None) -> None:
        """Count a call that was one too many."""
        self.in_flight -= 1
        self.hold(now + (0.5 if retry_after is None else retry_after))

    def hold(self, until: float) -> None:
        """Let no call start before `until`."""
        self._held_until = max(self._held_until, until)

    def starving_s(self, now: float) -> float:
        """Give the seconds from the last answer until calls may start again."""
        return max(self._held_until, now) - (now if self._last_answer is None else self._last_answer)
