"""The lease of a batch: a lock that the operating system or the database releases when its owner dies."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from pareta_batch.ledger.advisory_lock import advisory_lock, holder_of_run_lock, named
from pareta_batch.ledger.database import Database

Lost = Callable[[sa.Connection], str | None]
"""Returns the reason why the lease is lost, or None; it is checked in the transaction that writes claims."""


@contextmanager
def lease(database: Database, batch: str) -> Iterator[Lost]:
    """Hold a batch for one run, and yield the check for a lost lease; there is no clock and no heartbeat.

    Raises BatchBusy while another run holds it, LedgerError.
    """
    if not database.is_sqlite:
        with advisory_lock(database, batch) as lock:
            yield lock.lost
    elif database.file is not None:
        with database.file.lock(batch):
            database.do(database.file.count_run)
            yield _never_lost
    else:
        # No other process can open a database in memory.
        yield _never_lost


def holder(database: Database, batch: str) -> str | None:
    """Return the process that holds the lease of a batch, or None; the lease itself is not touched."""
    if not database.is_sqlite:
        found = database.do(lambda db: holder_of_run_lock(db, batch))
        return None if found is None else named(found[2])
    return database.file.holder(batch) if database.file is not None else None


def _never_lost(_: sa.Connection) -> str | None:
    return None
