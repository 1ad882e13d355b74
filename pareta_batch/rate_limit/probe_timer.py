"""When more may be tried of what a service allows."""

from math import inf


class ProbeTimer:
    """A moment, in seconds; never as long as nobody sets it."""

    def __init__(self) -> None:
        self.at = inf
        self._put_off_to = inf

    def put_off(self, until: float) -> None:
        """Try no more before, once for each try: errors now and then would keep a low limit low for ever."""
        if self.at != self._put_off_to:
            self.at = self._put_off_to = max(self.at, until)
