"""How batches stand, from the ledger alone."""

from dataclasses import dataclass
from typing import Any

from pareta_batch import BatchUnknown, Controls, Ledger, Snapshot, Tally


@dataclass(frozen=True)
class BatchStatus:
    """How one batch stands, and what its run under way last told, if there is one."""

    name: str
    tally: Tally
    live: dict[str, Any] | None

    def __str__(self) -> str:
        if self.live is None:
            return f"{self.name}: {self.tally}"
        told = Snapshot(**self.live["snapshot"]) if self.live["snapshot"] else "starting"
        return f"{self.name}: {'paused' if self.live['paused'] else 'running'}: {told}"


def batch_statuses(name: str | None) -> list[BatchStatus]:
    """Say how a batch stands, or all of them.

    Raises BatchUnknown for one that the ledger does not have, LedgerError for a ledger that cannot be read.
    """
    ledger = Ledger.open()
    known = ledger.batches()
    if name is not None and name not in known:
        raise BatchUnknown(name, known)
    return [
        BatchStatus(each, ledger.tally(each), Controls(ledger, each).live()) for each in ([name] if name else known)
    ]
