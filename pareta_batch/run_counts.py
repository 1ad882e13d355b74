"""Counts of one run of a batch, apart from what earlier runs settled."""

from pydantic import Field

from pareta_batch.engine import Progress
from pareta_batch.money import dollars
from pareta_batch.plurals import quantity
from pareta_batch.spec_base import Frozen


class RunCounts(Frozen):
    """Rows of one run, and its receipts in micro-USD."""

    sent: int = Field(description="Rows for which this run sent at least one request")
    settled: int
    failed: int
    replayed: int = Field(description="Settled rows with a receipt of 0 after a request in doubt: paid earlier")
    billed_micro_usd: int | None = Field(description="Sum of the receipts; None if rows settled without a receipt")

    def __str__(self) -> str:
        cost = "cost unknown" if self.billed_micro_usd is None else f"{dollars(self.billed_micro_usd)} billed"
        sent, replayed = quantity(self.sent, "row"), f"{self.replayed:,} replayed"
        return f"{sent} sent, {self.settled:,} settled, {self.failed:,} failed, {replayed}; {cost}"


def run_counts(progress: Progress) -> RunCounts:
    """Return the counts of a run."""
    unbilled = progress.settled > 0 and not progress.receipts
    return RunCounts(
        sent=progress.sent,
        settled=progress.settled,
        failed=progress.failed,
        replayed=progress.replayed,
        billed_micro_usd=None if unbilled else progress.spent_micro_usd,
    )
