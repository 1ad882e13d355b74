"""How far a batch is: counted as rows settle, read by whoever shows it."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from pareta_batch.errors import shown
from pareta_batch.ledger import Outcome
from pareta_batch.money import dollars

NOTICED_S = 5.0
"""A shorter wait is not told: it is over before it is read."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Snapshot:
    """A batch at one moment: `rate` is rows done per second in this run, `eta_s` None while it is unknown.

    `waits`: how long the service asked to wait, and why; None while no wait is under way.
    """

    name: str
    total: int
    done: int
    failed: int
    in_flight: int
    rate: float
    spent_micro_usd: int
    eta_s: float | None
    waits: str | None = None

    @property
    def share(self) -> float:
        """Share of rows done, 0 to 1."""
        return self.done / self.total if self.total else 1.0

    def __str__(self) -> str:
        eta = "–" if self.eta_s is None else f"{self.eta_s:.0f} s"
        return (
            f"{self.done}/{self.total} rows, {self.failed} failed, {self.in_flight} in flight, {self.rate:.1f} rows/s, "
            f"{dollars(self.spent_micro_usd)} spent, ETA {eta}{(self.waits and f', {self.waits}') or ''}"
        )


@dataclass
class Progress:
    """Counts what one run of a batch settles; `to_send` rows of `total` were missing when it began."""

    name: str
    total: int
    to_send: int
    in_flight: Callable[[], int]
    began: float = field(default_factory=time.monotonic)
    settled: int = 0
    spent_micro_usd: int = 0
    _failed: set[str] = field(default_factory=set)
    _waits_until: float = 0.0
    _waits_for: str = ""

    def count(self, outcome: Outcome) -> None:
        """Count a row whose outcome is durable; a failed row that a later attempt settles is failed no more."""
        if outcome.state == "settled":
            self.settled += 1
            self._failed.discard(outcome.key)
        else:
            self._failed.add(outcome.key)
        self.spent_micro_usd += outcome.billed_micro_usd or 0

    def waits(self, until: float, error: Exception) -> None:
        """Note that the service asked to wait until a moment (monotonic seconds), and tell it once."""
        if until - time.monotonic() < NOTICED_S or until <= self._waits_until + NOTICED_S:
            return
        self._waits_until, self._waits_for = until, f"{type(error).__name__}: {shown(error):.200}"
        log.warning("%s waits %.0f s, as the service asks: %s", self.name, until - time.monotonic(), self._waits_for)

    def wall_s(self) -> float:
        """Seconds since this run of the batch began."""
        return time.monotonic() - self.began

    def snapshot(self) -> Snapshot:
        """Give the numbers as they stand now."""
        done = self.settled + len(self._failed)
        left = self.to_send - done
        rate = done / max(self.wall_s(), 1e-9)
        return Snapshot(
            name=self.name,
            total=self.total,
            done=self.total - left,
            failed=len(self._failed),
            in_flight=self.in_flight(),
            rate=rate,
            spent_micro_usd=self.spent_micro_usd,
            eta_s=left / rate if done else None,
            waits=self._waiting(),
        )

    def _waiting(self) -> str | None:
        left = self._waits_until - time.monotonic()
        return f"waits {left:.0f} s ({self._waits_for})" if left > 0 else None
