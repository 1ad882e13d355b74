"""Progress of a run: counters that rows update when they settle, and snapshots of them."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from pareta_batch.durations import duration_text
from pareta_batch.errors import shown
from pareta_batch.ledger import Outcome
from pareta_batch.money import dollars

MIN_REPORTED_WAIT_S = 5.0
"""Shortest wait that is reported, in seconds; higher reports fewer waits. A shorter one ends before it is read."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Snapshot:
    """The progress of a batch at one moment.

    `rate`: rows done per second of sending. `eta_s`: None while it is unknown. `waits`: the wait that the service
    asked for, with its reason; None outside such a wait. `paused`: by a user.
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
    paused: bool = False

    @property
    def share(self) -> float:
        """Fraction of the rows that are done, 0 to 1."""
        return self.done / self.total if self.total else 1.0

    def __str__(self) -> str:
        return (
            f"{self.done}/{self.total} rows, {self.failed} failed, {self.in_flight} in flight, {self.rate:.1f} rows/s, "
            f"{dollars(self.spent_micro_usd)} spent, {self.remaining}{(self.waits and f', {self.waits}') or ''}"
        )

    @property
    def remaining(self) -> str:
        """`paused`, or the estimated time to the end."""
        if self.paused:
            return "paused"
        return "ETA –" if self.eta_s is None else f"ETA {duration_text(self.eta_s)}"


@dataclass
class Progress:
    """Counters of one run; at its start `to_send` of `total` rows had no final outcome.

    `sends_since`: monotonic time since when rows are sent; the rate counts from it.
    """

    name: str
    total: int
    to_send: int
    in_flight: Callable[[], int]
    is_paused: Callable[[], bool] = lambda: False
    began: float = field(default_factory=time.monotonic)
    sends_since: float = field(default_factory=time.monotonic)
    settled: int = 0
    spent_micro_usd: int = 0
    receipts: int = 0
    replayed: int = 0
    _failed: set[str] = field(default_factory=set)
    _unanswered: set[str] = field(default_factory=set)
    _wait_ends: float = 0.0
    _wait_reason: str = ""

    def count(self, outcome: Outcome) -> None:
        """Count a durable outcome; a failed row that a later attempt settles no longer counts as failed."""
        self._unanswered.discard(outcome.key)
        if outcome.state == "settled":
            self.settled += 1
            self.replayed += outcome.resent and outcome.billed_micro_usd == 0
            self._failed.discard(outcome.key)
        else:
            self._failed.add(outcome.key)
        self.count_receipt(outcome)

    def count_receipt(self, outcome: Outcome) -> None:
        """Count the receipt of a durable outcome, for example of a turn before the last one."""
        self.receipts += outcome.billed_micro_usd is not None
        self.spent_micro_usd += outcome.billed_micro_usd or 0

    def count_unanswered(self, key: str) -> None:
        """Count a row that was sent, and that has no outcome because the batch was stopped."""
        self._unanswered.add(key)

    @property
    def failed(self) -> int:
        """Rows that failed, and that no later attempt settled."""
        return len(self._failed)

    @property
    def sent(self) -> int:
        """Rows for which at least one request was sent."""
        return self.settled + len(self._failed) + len(self._unanswered)

    def limit_to(self, to_send: int, total: int) -> None:
        """Show only a part of the batch: `total` rows, of which `to_send` have no final outcome."""
        self.to_send, self.total = to_send, total

    def report_wait(self, until: float, error: Exception) -> None:
        """Record a wait that the service asked for, until a monotonic time in seconds, and log it once."""
        if until - time.monotonic() < MIN_REPORTED_WAIT_S or until <= self._wait_ends + MIN_REPORTED_WAIT_S:
            return
        self._wait_ends, self._wait_reason = until, f"{type(error).__name__}: {shown(error):.200}"
        wait = duration_text(until - time.monotonic())
        log.warning("%s waits %s, as the service asks: %s", self.name, wait, self._wait_reason)

    def wall_s(self) -> float:
        """Return the seconds since the start of this run."""
        return time.monotonic() - self.began

    def snapshot(self) -> Snapshot:
        """Return the current progress."""
        done = self.settled + self.failed
        left = self.to_send - done
        rate = done / max(time.monotonic() - self.sends_since, 1e-9)
        return Snapshot(
            name=self.name,
            total=self.total,
            done=self.total - left,
            failed=self.failed,
            in_flight=self.in_flight(),
            rate=rate,
            spent_micro_usd=self.spent_micro_usd,
            eta_s=left / rate if done else None,
            waits=self._current_wait(),
            paused=self.is_paused(),
        )

    def _current_wait(self) -> str | None:
        left = self._wait_ends - time.monotonic()
        return f"waits {duration_text(left)} ({self._wait_reason})" if left > 0 else None
