"""A timer for the next probe of a higher limit."""

from math import inf


class ProbeTimer:
    """The time of the next probe, in seconds; infinite until it is set."""

    def __init__(self) -> None:
        self.at = inf
        self._postponed_to = inf

    def postpone(self, until: float) -> None:
        """Defer the next probe, at most once: occasional errors must not postpone it forever."""
        if self.at != self._postponed_to:
            self.at = self._postponed_to = max(self.at, until)
