"""Records of workers on the Prefect server: ledger, data and key of the worker that last ran a batch.

Workers with different ledgers do not know each other's answers and would send the same rows twice.
"""

import asyncio
import hashlib
import re
import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from pareta_batch import Batch, Ledger, LedgerDiffers, ledger_id
from tasks.clients import make_client
from tasks.direct import current_flow_run, run_logger
from tasks.resources import shared_ledger

DIGEST_CHARS = 8
"""Characters of a digest. Raising it makes equal digests of different values less likely."""


@dataclass(frozen=True)
class WorkerRecord:
    """Ledger, data and key of a worker; `size`: bytes of a dataset with a relative path."""

    batch: str
    ledger: str
    place: str
    worker: str
    key: str
    dataset: str
    size: int | None

    def problem(self, earlier: "WorkerRecord") -> str | None:
        """Return the reason why this worker must not run the batch after an earlier run; None if it may."""
        if self.ledger == earlier.ledger:
            return None
        return (
            f"ledger {self.place} of {self.worker}: the earlier run of batch {self.batch!r} used another one, "
            f"{earlier.place} of {earlier.worker}; use one ledger on PostgreSQL for all workers, or, to leave the "
            f"earlier one for good, run `prefect variable delete {variable_name(self.batch)}`"
        )

    def warnings(self, earlier: "WorkerRecord") -> Iterator[str]:
        """Yield the differences to an earlier run that can be intended."""
        if self.key != earlier.key:
            yield (
                f"batch {self.batch!r}: the API key of {self.worker} is another one than that of {earlier.worker}; "
                "a key of another account pays again for a request that was sent"
            )
        if self.worker != earlier.worker and self.dataset == earlier.dataset and self.size != earlier.size:
            yield (
                f"dataset {self.dataset!r}: in {self.worker} it is {_bytes(self.size)}, and "
                f"in {earlier.worker} it was {_bytes(earlier.size)}; name it by an absolute path that all workers share"
            )


def variable_name(batch: str) -> str:
    """Return the name of the Prefect variable with the record of a batch: lower case, without dots."""
    return f"pareta-worker-{re.sub('[^a-z0-9]+', '-', batch.lower())}-{_digest(batch)}"


async def check_worker(batch: Batch) -> None:
    """Compare this worker with the one that last ran the batch, and record it; log what differs.

    Does nothing outside a run that a worker started. Raises LedgerDiffers if the earlier run used another ledger.
    """
    if not _is_run_of_worker():
        return
    from prefect.variables import Variable

    async with shared_ledger() as ledger, await make_client() as client:
        mine = await asyncio.to_thread(_record, batch, ledger, client.api_key)
    earlier = await _exchange(mine)
    if problem := mine.problem(earlier):
        raise LedgerDiffers(problem)
    _warn(mine, earlier)
    if mine != earlier:
        await Variable.aset(variable_name(batch.name), asdict(mine), tags=["pareta"], overwrite=True)


async def warn_of_other_worker(batch: Batch, ledger: Ledger, api_key: str) -> None:
    """Log the differences of a member's worker to the one that runs the batch; nothing is recorded."""
    if not _is_run_of_worker():
        return
    from prefect.variables import Variable

    mine = await asyncio.to_thread(_record, batch, ledger, api_key)
    _warn(mine, _earlier(await Variable.aget(variable_name(batch.name)), mine))


def _is_run_of_worker() -> bool:
    """Return whether a worker started this run."""
    run = current_flow_run()
    return run is not None and run.work_pool_name is not None


def _warn(mine: WorkerRecord, earlier: WorkerRecord) -> None:
    """Log what differs from the earlier worker."""
    for warning in mine.warnings(earlier):
        run_logger().warning("%s", warning)


async def _exchange(mine: WorkerRecord) -> WorkerRecord:
    """Return the record of the earlier run; of two first runs at the same time, the record of one."""
    from prefect.exceptions import ObjectAlreadyExists
    from prefect.variables import Variable

    name = variable_name(mine.batch)
    found = await Variable.aget(name)
    if found is None:
        try:
            await Variable.aset(name, asdict(mine), tags=["pareta"])
        except (ObjectAlreadyExists, ValueError):
            found = await Variable.aget(name)
    return _earlier(found, mine)


def _earlier(found: object, mine: WorkerRecord) -> WorkerRecord:
    """Return the record in the value of a variable; `mine` if it has none."""
    return WorkerRecord(**found) if isinstance(found, dict) and found.keys() == asdict(mine).keys() else mine


def _record(batch: Batch, ledger: Ledger, key: str) -> WorkerRecord:
    identity = ledger_id(ledger)
    return WorkerRecord(
        batch=batch.name,
        ledger=identity,
        place=ledger.place,
        worker=f"{socket.gethostname()}:{Path.cwd()}",
        # With the id of the ledger: equal keys cannot be recognized elsewhere.
        key=_digest(f"{identity}/{key}"),
        dataset=str(batch.dataset),
        size=_size_of(str(batch.dataset)),
    )


def _size_of(dataset: str) -> int | None:
    path = Path(dataset)
    return path.stat().st_size if not path.is_absolute() and path.is_file() else None


def _bytes(size: int | None) -> str:
    return "missing" if size is None else f"{size:,} bytes"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:DIGEST_CHARS]
