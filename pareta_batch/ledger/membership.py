"""The lock of a member: a process that works on a batch beside others, under a parent that holds the batch's lock.

All members hold one advisory lock in shared mode, each in a transaction on its own connection that stays open. So the
server knows which members live, without a clock, and a new parent can wait until those of a dead parent have ended.
Each transaction of claims checks, under the fence, that the member still holds its lock and that the run goes on.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import sqlalchemy as sa

from pareta_batch.errors import BatchStopped, LedgerError, Orphaned
from pareta_batch.ledger.advisory_lock import (
    GRANTED,
    HELD_BEHIND_FENCE,
    HOLDERS,
    Owner,
    begin_holding,
    claim_check,
    end_holding,
    holder_of_run_lock,
    lock_until_commit,
    locks_of,
    owner_of,
)
from pareta_batch.ledger.database import Database
from pareta_batch.ledger.ledger import Ledger
from pareta_batch.ledger.run_tables import stops
from pareta_batch.ledger.url import SOURCE, shown

JOIN_TIMEOUT_S = 10.0
"""Seconds that a member waits for its lock while a parent checks for old members; higher tolerates a slower server."""

_TRY_SHARED = sa.text("SELECT pg_try_advisory_xact_lock_shared(:number)")
_OWN = sa.text(f"SELECT pid, virtualtransaction FROM ({HOLDERS.text}) AS found WHERE pid = pg_backend_pid()")  # noqa: S608
# One statement: it is part of each transaction of claims.
_MAY_CLAIM = sa.text(
    f"SELECT {HELD_BEHIND_FENCE}, reason, message FROM (VALUES (1)) AS one"  # noqa: S608
    " LEFT JOIN stops ON batch = :batch AND run = :run"
)
_HAS_PARENT = sa.text(
    "SELECT EXISTS (SELECT FROM member_runs JOIN pg_locks ON pid = owner_pid AND virtualtransaction = owner_transaction"  # noqa: S608
    f" WHERE {GRANTED} AND batch = :batch AND run = :run)"
)


class Membership:
    """The lock of one member of a run; `token` identifies this process, `owner` its transaction."""

    def __init__(self, database: Database, batch: str, run: str) -> None:
        """Acquire the lock; raises Orphaned if the run has ended, LedgerError."""
        self.batch = batch
        self.run = run
        self.token = uuid4().hex
        self._url = database.url
        self._locks = locks_of(batch)
        self._connection = database.connect()
        try:
            self.owner = self._acquire()
            database.do(self.check_parent)
        except BaseException:
            self.release()
            raise

    def check_parent(self, db: sa.Connection) -> None:
        """Raise Orphaned unless the parent of the run still holds the lock of the batch."""
        if not db.scalar(_HAS_PARENT, {"number": self._locks.run, "batch": self.batch, "run": self.run}):
            raise self._orphaned()

    def lost(self, db: sa.Connection) -> str | None:
        """Return the reason why claims may not be written: the lock was lost. Raises BatchStopped after a stop."""
        checked = claim_check(self._locks.fence, self._locks.members, self.owner)
        held, reason, message = db.execute(_MAY_CLAIM, {**checked, "batch": self.batch, "run": self.run}).one()
        if not held:
            return f"ledger {shown(self._url)}: the lock of a member of batch {self.batch!r} was lost; run it again"
        if reason is not None:
            raise BatchStopped(reason, message)
        return None

    def check(self, db: sa.Connection) -> None:
        """Raise LedgerError if the lock was lost, and BatchStopped after a stop of the run."""
        if problem := self.lost(db):
            raise LedgerError(problem)

    def _orphaned(self) -> Orphaned:
        return Orphaned(f"run {self.run} of batch {self.batch!r} has ended; this member stops, run the batch again")

    def release(self) -> None:
        """Release the lock."""
        end_holding(self._connection)

    def _acquire(self) -> Owner:
        db = self._connection
        begin_holding(db)
        deadline = time.monotonic() + JOIN_TIMEOUT_S
        while not db.scalar(_TRY_SHARED, {"number": self._locks.members}):
            if time.monotonic() > deadline:
                raise self._orphaned()
            time.sleep(0.05)
        return owner_of(db.execute(_OWN, {"number": self._locks.members}).one_or_none(), self._url)


@contextmanager
def join_run(ledger: Ledger, batch: str, run: str) -> Iterator[Membership]:
    """Hold the lock of a member of a run; claims are written only while it is held and the run goes on.

    Raises Orphaned if the run has ended, LedgerError.
    """
    check_serves_members(ledger)
    held = ledger._database.persistently(lambda: Membership(ledger._database, batch, run))
    ledger._leases[batch] = held.lost
    try:
        yield held
    finally:
        del ledger._leases[batch]
        held.release()


def check_serves_members(ledger: Ledger) -> None:
    """Raise LedgerError for SQLite, which serves one process."""
    if ledger.is_sqlite:
        raise LedgerError(
            f"ledger {ledger.place}: SQLite serves one process; for more, set {SOURCE} to a PostgreSQL database"
        )


def holder_of(db: sa.Connection, batch: str) -> Owner | None:
    """Return the transaction that holds the lock of a batch."""
    found = holder_of_run_lock(db, batch)
    return None if found is None else (found[0], found[1])


def living_members(db: sa.Connection, batch: str) -> set[Owner]:
    """Return the transactions of the members that live."""
    found = db.execute(HOLDERS, {"number": locks_of(batch).members})
    return {(pid, transaction) for pid, transaction, _ in found}


def exclude_late_claims(db: sa.Connection, batch: str) -> None:
    """Wait until the claims that are being written are committed; later ones see the present locks."""
    lock_until_commit(db, locks_of(batch).fence)


def stop_of(db: sa.Connection, batch: str, run: str) -> BatchStopped | None:
    """Return the decision to stop a run; None while it goes on."""
    query = sa.select(stops.c.reason, stops.c.message).where(stops.c.batch == batch, stops.c.run == run)
    found = db.execute(query).one_or_none()
    return None if found is None else BatchStopped(*found)
