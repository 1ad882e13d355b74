"""Enrolment: a dataset becomes the batch's rows in the ledger, wholly or not at all, before anything is sent."""

from dataclasses import dataclass

from pareta_batch.answers import check_content, check_free, check_path, claim, layout_of, release_earlier
from pareta_batch.ledger import Ledger
from pareta_batch.rows import row_requests
from pareta_batch.spec import Batch


@dataclass(frozen=True)
class RunPlan:
    """What a run has to do: rows in all, rows changed since they were worked on, rows to send in each shard."""

    total: int
    changed: int
    missing: dict[int, int]

    @property
    def to_send(self) -> int:
        """Rows that have no final outcome yet."""
        return sum(self.missing.values())

    def __str__(self) -> str:
        changed = f", {self.changed} changed since an earlier run (new work)" if self.changed else ""
        return f"{self.total} rows{changed}; {self.to_send} to send in {len(self.missing)} shards"


def register_rows(batch: Batch, ledger: Ledger) -> RunPlan:
    """Check the whole dataset, the prompt and the output, and enter the rows in the ledger.

    Raises DatasetError, OutputError, LedgerError, or BatchBusy while another run works on it; nothing is changed then.
    """
    check_output(batch, ledger)
    with ledger.lease(batch.name):
        claim(batch, ledger)
        enrolled = ledger.register_rows(batch.name, row_requests(batch))
        release_earlier(batch, ledger)
    return RunPlan(enrolled.total, enrolled.changed, ledger.missing_shards(batch.name, batch.shard_size))


def check_output(batch: Batch, ledger: Ledger) -> None:
    """Check the answers file before anything is paid for it: where it is, whose it is, and what it will hold.

    Raises OutputError, and DatasetError for a dataset that cannot be read.
    """
    check_path(batch, ledger)
    check_free(batch, ledger)
    if batch.output_path.suffix == ".parquet":  # CSV and JSON lines have room for any value
        check_content(batch, layout_of(batch)[1])
