"""Advisory locks of PostgreSQL on a batch, with a fence that detects a lost lock before claims are committed.

The lock belongs to a transaction on a separate connection that stays open for the whole run. A pooler that shares
connections between transactions therefore cannot pass it to another run. The run writes its claims on other
connections. Each transaction of claims takes a second lock, the fence, in shared mode, and checks that the first lock
is still held. A run that acquires the first lock waits once for the fence. After that, no claim of an earlier run can
be committed.
"""

import hashlib
import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import sqlalchemy as sa

from pareta_batch.errors import BatchBusy, LedgerError
from pareta_batch.ledger.database import Database
from pareta_batch.ledger.url import shown

FENCE_TIMEOUT = "30s"
"""Upper bound of the wait for claims that an earlier run is writing; higher waits longer for a frozen run."""

MEMBERS_TIMEOUT_S = 20.0
"""Seconds to wait until the members of an ended run have drained their calls; higher tolerates slower calls."""

Owner = tuple[int, str]

# The transaction is idle while the run sends. Keepalives let the server detect a broken connection.
_SETTINGS = sa.text(
    "SELECT set_config(name, value, true) FROM (VALUES ('idle_in_transaction_session_timeout', '0'),"
    " ('transaction_timeout', '0'), ('tcp_keepalives_idle', '60'), ('tcp_keepalives_interval', '10'),"
    " ('tcp_keepalives_count', '3'), ('application_name', :name)) AS wanted (name, value)"
    " JOIN pg_settings USING (name)"
)
_TRY = sa.text("SELECT pg_try_advisory_xact_lock(:number)")
_WAIT = sa.text("SELECT pg_advisory_xact_lock(:number)")
GRANTED = (
    "locktype = 'advisory' AND objsubid = 1 AND granted AND ((classid::bigint << 32) | objid::bigint) = :number"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
HOLDERS = sa.text(
    "SELECT pid, virtualtransaction, application_name"  # noqa: S608
    f" FROM pg_locks LEFT JOIN pg_stat_activity USING (pid) WHERE {GRANTED}"
)
HELD_BEHIND_FENCE = (
    "CASE WHEN pg_advisory_xact_lock_shared(:fence) IS NOT NULL THEN EXISTS"
    f" (SELECT FROM pg_locks WHERE {GRANTED} AND pid = :pid AND virtualtransaction = :transaction) END"
)
"""Whether a transaction still holds a lock, read after the fence is acquired: CASE evaluates its condition first.

One expression, because each statement of a small group costs as much CPU as several of its rows.
"""
_STILL_HELD = sa.text(f"SELECT {HELD_BEHIND_FENCE}")


def lock_until_commit(db: sa.Connection, number: int) -> None:
    """Wait for a lock of PostgreSQL, which this transaction holds until its end."""
    db.execute(_WAIT, {"number": number})


def begin_holding(db: sa.Connection) -> None:
    """Begin a transaction that stays open for the whole run, with this process as its name on the server."""
    db.execute(_SETTINGS, {"name": f"pareta: process {os.getpid()} on {socket.gethostname()}"[:63]})


def owner_of(found: "sa.Row[Any] | None", url: sa.URL) -> Owner:
    """Return the transaction of a lock that this process has acquired. Raises LedgerError if it is not shown."""
    if found is None:
        raise LedgerError(f"ledger {shown(url)}: the server does not show its locks; use PostgreSQL itself")
    return found[0], found[1]


def end_holding(connection: sa.Connection) -> None:
    """Release the locks of a transaction; the server has already released those of a broken connection."""
    with suppress(sa.exc.SQLAlchemyError):
        connection.rollback()
    connection.close()


def claim_check(fence: int, number: int, owner: Owner) -> dict[str, int | str]:
    """Return the parameters of `HELD_BEHIND_FENCE`."""
    return {"fence": fence, "number": number, "pid": owner[0], "transaction": owner[1]}


def holder_of_run_lock(db: sa.Connection, batch: str) -> "sa.Row[Any] | None":
    """Return the server process, transaction and application name that hold the run lock of a batch, or None."""
    return db.execute(HOLDERS, {"number": locks_of(batch).run}).first()


class AdvisoryLock:
    """The advisory lock of one run on its batch."""

    def __init__(self, database: Database, batch: str) -> None:
        """Acquire the lock; raises BatchBusy, LedgerError."""
        self._batch = batch
        self._url = database.url
        self._dead_owner_s = database.timing.dead_owner_s
        self._number, self._fence, self._members = locks_of(batch)
        self._connection = database.connect()
        try:
            self._owner = self._acquire()
            self._wait_for_members(database)
            database.do(self._wait_for_claims)
        except BaseException:
            self.release()
            raise

    def lost(self, db: sa.Connection) -> str | None:
        """Return the reason why the lock is lost; None if it is held until this transaction ends."""
        if db.scalar(_STILL_HELD, claim_check(self._fence, self._number, self._owner)):
            return None
        found = db.execute(HOLDERS, {"number": self._number}).one_or_none()
        where = f"ledger {shown(self._url)}: the lock of batch {self._batch!r} was lost"
        by = "its connection to the server broke" if found is None else f"it is held by {named(found[2])}"
        return f"{where} ({by}); check the server, then run it again"

    def release(self) -> None:
        """Release the lock."""
        end_holding(self._connection)

    def _acquire(self) -> Owner:
        db = self._connection
        begin_holding(db)
        deadline = time.monotonic() + self._dead_owner_s
        while not db.scalar(_TRY, {"number": self._number}):
            holder = db.execute(HOLDERS, {"number": self._number}).one_or_none()
            application = holder[2] if holder else None
            if (holder and not _is_dead(application)) or time.monotonic() > deadline:
                raise BatchBusy(self._batch, named(application))
            time.sleep(0.05)
        return owner_of(db.execute(HOLDERS, {"number": self._number}).one_or_none(), self._url)

    def _wait_for_members(self, database: Database) -> None:
        """Wait until no member of an ended run is left; it may still have calls in flight."""
        deadline = time.monotonic() + MEMBERS_TIMEOUT_S
        while not database.do(lambda db: db.scalar(_TRY, {"number": self._members})):
            if time.monotonic() > deadline:
                found = database.do(lambda db: db.execute(HOLDERS, {"number": self._members}).first())
                raise BatchBusy(self._batch, f"a member of an ended run, {named(found[2] if found else None)}")
            time.sleep(0.1)

    def _wait_for_claims(self, db: sa.Connection) -> None:
        db.execute(sa.text(f"SET LOCAL lock_timeout = '{FENCE_TIMEOUT}'"))
        lock_until_commit(db, self._fence)


@contextmanager
def advisory_lock(database: Database, batch: str) -> Iterator[AdvisoryLock]:
    """Hold the lock of a batch; raises BatchBusy while another run holds it, LedgerError."""
    lock = database.persistently(lambda: AdvisoryLock(database, batch))
    try:
        yield lock
    finally:
        lock.release()


class Locks(NamedTuple):
    """Numbers of the advisory locks of a batch: of its run, of claims (the fence), and of the run's members."""

    run: int
    fence: int
    members: int


def locks_of(batch: str) -> Locks:
    """Return the numbers of the locks of a batch."""
    return Locks(*(_number(f"pareta-{kind}/{batch}") for kind in ("batch", "claims", "members")))


def _number(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)


def _is_dead(application: str | None) -> bool:
    """Return whether the holder was a process of this machine that has ended."""
    found = re.fullmatch(r"process (\d+) on (.+)", named(application))
    if found is None or found[2] != socket.gethostname()[: len(found[2])]:
        return False
    try:
        os.kill(int(found[1]), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def named(application: str | None) -> str:
    return (application or "").removeprefix("pareta: ") or "another run"
