"""Counts of a member's work, and their sum as the progress of the run. Its only input is the clock."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields

from pareta_batch.engine import Progress, Session, SessionWork


@dataclass(frozen=True)
class Counts:
    """The work of one member so far, or the sum over members; money in micro-USD.

    `sent`: rows for which it sent at least one request. `receipts`: answers with a receipt. `refused`: requests that
    the service refused for its rate limit.
    """

    sent: int = 0
    settled: int = 0
    failed: int = 0
    replayed: int = 0
    receipts: int = 0
    spent_micro_usd: int = 0
    in_flight: int = 0
    refused: int = 0

    @classmethod
    def of(cls, session: Session) -> "Counts":
        """Return the counts of a session."""
        progress, limiter = session.progress, session.gate.limiter
        return cls(
            sent=progress.sent,
            settled=progress.settled,
            failed=progress.failed,
            replayed=progress.replayed,
            receipts=progress.receipts,
            spent_micro_usd=progress.spent_micro_usd,
            in_flight=limiter.in_flight,
            refused=limiter.refusals,
        )


def sum_of(counts: Iterable[Counts]) -> Counts:
    """Return the sum of the counts of several members."""
    every = list(counts)
    return Counts(**{each.name: sum(getattr(one, each.name) for one in every) for each in fields(Counts)})


@dataclass
class RunProgress(Progress):
    """Progress of a run as the sum over its members."""

    counts: Counts = field(default_factory=Counts)

    @classmethod
    def of_run(cls, work: SessionWork, is_paused: Callable[[], bool]) -> "RunProgress":
        """Return the progress of a run that begins."""

        def in_flight() -> int:
            return progress.counts.in_flight

        progress = cls(work.batch.name, work.total, work.to_send, in_flight, is_paused)
        return progress

    def update(self, counts: Counts) -> None:
        """Replace the counters by the sum over the members; the seconds until the first call are not in the rate."""
        if not (counts.sent or counts.in_flight):
            self.sends_since = time.monotonic()
        self.counts = counts
        self.settled, self.replayed, self.receipts = counts.settled, counts.replayed, counts.receipts
        self.spent_micro_usd = counts.spent_micro_usd

    @property
    def failed(self) -> int:
        """Rows that failed, and that no later attempt of the same member settled."""
        return self.counts.failed

    @property
    def sent(self) -> int:
        """Rows for which at least one request was sent."""
        return self.counts.sent
