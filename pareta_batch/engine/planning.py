"""Registration of a dataset as the batch's rows in the ledger, in one transaction, before anything is sent."""

from dataclasses import dataclass

from pareta_batch.answers import check_content, check_free, check_path, claim, layout_of, release_earlier
from pareta_batch.ledger import Ledger
from pareta_batch.rows import row_requests
from pareta_batch.spec import Batch


@dataclass(frozen=True)
class RunPlan:
    """The work of a run: total rows, rows changed since an earlier run, and rows to send by shard number."""

    total: int
    changed: int
    missing: dict[int, int]

    @property
    def to_send(self) -> int:
        """Rows without a final outcome."""
        return sum(self.missing.values())

    def __str__(self) -> str:
        changed = f", {self.changed} changed since an earlier run (new work)" if self.changed else ""
        return f"{self.total} rows{changed}; {self.to_send} to send in {len(self.missing)} shards"


def register_rows(batch: Batch, ledger: Ledger) -> RunPlan:
    """Check the dataset, the prompt and the output, register the rows in the ledger, and return the plan of the run.

    Raises DatasetError, OutputError, LedgerError, or BatchBusy while another run holds the batch. An error leaves the
    ledger unchanged.
    """
    check_output(batch, ledger)
    with ledger.lease(batch.name):
        claim(batch, ledger)
        registered = ledger.register_rows(batch.name, row_requests(batch))
        release_earlier(batch, ledger)
    return RunPlan(registered.total, registered.changed, ledger.missing_shards(batch.name, batch.shard_size))


def check_output(batch: Batch, ledger: Ledger) -> None:
    """Check the answers file before anything is paid: its path, its owner, and the column types it will hold.

    Raises OutputError, and DatasetError for a dataset that cannot be read.
    """
    check_path(batch, ledger)
    check_free(batch, ledger)
    if batch.output_path.suffix == ".parquet":  # CSV and JSON Lines can hold any value
        check_content(batch, layout_of(batch)[1])
