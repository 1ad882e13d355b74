"""Registration of a dataset as the batch's rows in the ledger, before anything is sent."""

from dataclasses import dataclass

from pareta_batch.answers import check_content, check_free, check_path, claim, layout_of, release_earlier
from pareta_batch.ledger import Ledger, Sharing, distinct_rows
from pareta_batch.plurals import quantity
from pareta_batch.rows import row_requests
from pareta_batch.spec import Batch


@dataclass(frozen=True)
class RunPlan:
    """The work of a run: total rows, rows changed since an earlier run, and rows to send by shard number.

    `copies`: rows with the request of another row of the batch. `reused`: rows with an answer of another batch.
    """

    total: int
    changed: int
    missing: dict[int, int]
    copies: int = 0
    reused: int = 0

    @property
    def to_send(self) -> int:
        """Rows without a final outcome."""
        return sum(self.missing.values())

    def __str__(self) -> str:
        changed = f", {self.changed} changed since an earlier run (new work)" if self.changed else ""
        shared = f"; {distinct_rows(self.total, self.copies)}" if self.copies else ""
        shared += f"; {quantity(self.reused, 'answer')} taken over from other batches" if self.reused else ""
        return f"{self.total} rows{changed}{shared}; {self.to_send} to send in {quantity(len(self.missing), 'shard')}"


def register_rows(batch: Batch, ledger: Ledger) -> RunPlan:
    """Check the dataset, the prompt and the output, register the rows in the ledger, and return the plan of the run.

    Raises DatasetError, OutputError, LedgerError, or BatchBusy while another run holds the batch. An invalid dataset
    leaves the ledger unchanged; after an error of the ledger, the next registration continues.
    """
    check_output(batch, ledger)
    with ledger.lease(batch.name):
        claim(batch, ledger)
        sharing = Sharing(batch.reuse.within_batch, batch.reuse.max_age, moves=batch.id_column is None)
        registered = ledger.register_rows(batch.name, row_requests(batch), sharing)
        release_earlier(batch, ledger)
    missing = ledger.missing_shards(batch.name, batch.shard_size)
    return RunPlan(registered.total, registered.changed, missing, registered.copies, registered.reused)


def check_output(batch: Batch, ledger: Ledger) -> None:
    """Check the answers file before anything is paid: its path, its owner, and the column types it will hold.

    Raises OutputError, and DatasetError for a dataset that cannot be read.
    """
    check_path(batch, ledger)
    check_free(batch, ledger)
    if batch.output_suffix == ".parquet":  # CSV and JSON Lines can hold any value
        check_content(batch, layout_of(batch)[1])
