"""How batches stand, from the ledger alone."""

import asyncio
from dataclasses import dataclass
from typing import Any

from pareta_batch.batch import Batch
from pareta_batch.comparing import Comparisons
from pareta_batch.comparison_quote import ComparisonsQuote, quote_comparisons
from pareta_batch.controls import Controls
from pareta_batch.errors import BatchError
from pareta_batch.ledger import Ledger
from pareta_batch.outcomes import Tally
from pareta_batch.progress import Snapshot
from pareta_batch.quote import Quote, quote
from pareta_client import AsyncPareta


@dataclass(frozen=True)
class Account:
    """How one batch stands, and what its run under way last told, if there is one."""

    name: str
    tally: Tally
    live: dict[str, Any] | None

    def __str__(self) -> str:
        if self.live is None:
            return f"{self.name}: {self.tally}"
        told = Snapshot(**self.live["snapshot"]) if self.live["snapshot"] else "starting"
        return f"{self.name}: {'paused' if self.live['paused'] else 'running'}: {told}"


def quoted(batch: Batch, pilot: int) -> Quote:
    """Quote a batch, after a pilot of so many rows; raises as `pareta_batch.quote.quote`, and ParetaError."""
    return asyncio.run(quote(batch, AsyncPareta.from_env(), Ledger.open(), pilot=pilot))


def comparisons_quoted(comparisons: Comparisons) -> ComparisonsQuote:
    """Quote comparisons; raises ParetaError and LedgerError."""

    async def quoting() -> ComparisonsQuote:
        async with AsyncPareta.from_env() as pareta:
            return await quote_comparisons(comparisons, pareta, Ledger.open())

    return asyncio.run(quoting())


def standing(name: str | None) -> list[Account]:
    """Say how a batch stands, or all of them.

    Raises BatchError for one that the ledger does not have, LedgerError for a ledger that cannot be read.
    """
    ledger = Ledger.open()
    known = ledger.batches()
    if name is not None and name not in known:
        raise BatchError(f"the ledger has no batch {name!r}; it has: {', '.join(known) or 'none'}")
    return [Account(each, ledger.tally(each), Controls(ledger, each).live()) for each in ([name] if name else known)]
