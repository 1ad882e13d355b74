"""Status of batches, from the ledger alone."""

from contextlib import closing
from dataclasses import dataclass
from typing import Any, Literal

from pareta_batch import BatchUnknown, Controls, Ledger, Snapshot, Tally


@dataclass(frozen=True)
class BatchStatus:
    """Tally of one batch, and the last reported progress of its running run, if any.

    `registration`: state of a registration of its rows that has not ended; None for a batch with all its rows.
    """

    name: str
    tally: Tally
    live: dict[str, Any] | None
    registration: Literal["running", "interrupted"] | None = None

    def __str__(self) -> str:
        match self.registration:
            case "running":
                return f"{self.name}: registering its rows: {self.tally}"
            case "interrupted":
                next_step = "run it again, which continues it: pareta-pipeline complete SPEC"
                return f"{self.name}: registering its rows was interrupted: {self.tally}; {next_step}"
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
        return [status_of(ledger, each) for each in names]


def status_of(ledger: Ledger, name: str) -> BatchStatus:
    """Return the status of a batch. Raises LedgerError."""
    registration: Literal["running", "interrupted"] | None = None
    if ledger.is_registering(name):
        registration = "running" if ledger.holder(name) else "interrupted"
    return BatchStatus(name, ledger.tally(name), Controls(ledger, name).live(), registration)
