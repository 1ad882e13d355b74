"""Status of batches, from the ledger alone."""

from contextlib import closing
from dataclasses import dataclass
from typing import Any

from pareta_batch import BatchUnknown, Controls, Ledger, Snapshot, Tally


@dataclass(frozen=True)
class BatchStatus:
    """Tally of one batch, and the last reported progress of its running run, if any."""

    name: str
    tally: Tally
    live: dict[str, Any] | None

    def __str__(self) -> str:
        if self.live is None:
            return f"{self.name}: {self.tally}"
        progress = Snapshot(**self.live["snapshot"]) if self.live["snapshot"] else "starting"
        return f"{self.name}: {'paused' if self.live['paused'] else 'running'}: {progress}"


def batch_statuses(name: str | None) -> list[BatchStatus]:
    """Return the status of a batch, or of all batches if `name` is None.

    Raises:
        BatchUnknown: The ledger has no batch of this name.
        LedgerError: The ledger cannot be read.
    """
    with closing(Ledger.open()) as ledger:
        known = ledger.batches()
        if name is not None and name not in known:
            raise BatchUnknown(name, known)
        names = [name] if name else known
        return [BatchStatus(each, ledger.tally(each), Controls(ledger, each).live()) for each in names]
