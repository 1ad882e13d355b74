"""Registration of a dataset as a batch's current rows; only rows that differ from the ledger are written."""

import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from pareta_batch.errors import LedgerError
from pareta_batch.ledger.chunks import in_chunks
from pareta_batch.ledger.database import insert_into
from pareta_batch.ledger.moves import DOUBTFUL, WORKED_ON, move_outcomes
from pareta_batch.ledger.queries import sums_of
from pareta_batch.ledger.row_copies import insert_rows, upsert_rows
from pareta_batch.ledger.schema import batches, rows, shards
from pareta_batch.ledger.shards import LEFT, SHARD_ROWS, Uncounted, fit_shards, recount, uncount, uncount_keys
from pareta_batch.ledger.sharing import NOTHING_SHARED, Sharing, share
from pareta_batch.ledger.spool import spooled
from pareta_batch.rows import RowRequest

log = logging.getLogger(__name__)

CHUNK_ROWS = 1_000
"""Rows that are compared and written at once; higher needs more memory."""

TRANSACTION_CHUNKS = 20
"""Chunks per transaction of a registration; higher loses more work in a failure."""

MAX_UNDERESTIMATE = 10
"""Rows of a batch per row that PostgreSQL expects; higher runs ANALYZE less often, and risks table scans."""

OPEN = "open"
"""State of a batch whose rows are added in blocks; it has no dataset."""

Found = tuple[str, str, int, str | None, str]

_is_settled = rows.c.state == "settled"
# The registered work at each position, and whether its request is stored or no longer needed.
_has_request = sa.or_(_is_settled, rows.c.messages.is_not(sa.null()))
_COMPARED = (rows.c.key, rows.c.fingerprint, rows.c.prompt_bytes, rows.c.options, rows.c.scope)
_REGISTERED = sa.select(rows.c.position, *_COMPARED, _has_request).where(
    rows.c.batch == sa.bindparam("of_batch"),
    rows.c.position >= sa.bindparam("first"),
    rows.c.position < sa.bindparam("end"),
)


@dataclass(frozen=True)
class RegisteredRows:
    """The result of a registration: total rows, and rows whose earlier version was already worked on.

    `copies`: rows with the request of another row of the batch. `reused`: rows with an answer of another batch.
    """

    total: int
    changed: int
    copies: int = 0
    reused: int = 0


Transaction = Callable[[], AbstractContextManager[sa.Connection]]


def register(transaction: Transaction, registration: "Registration", requests: Iterable[RowRequest]) -> RegisteredRows:
    """Register `requests`, in the order of their positions, as the batch's current rows."""
    with spooled(requests, CHUNK_ROWS) as spool:
        groups = list(in_chunks(range(spool.chunks), TRANSACTION_CHUNKS))
        for number, group in enumerate(groups[:-1]):
            with transaction() as db:
                if number == 0:
                    registration.begin(db, spool.items)
                for _ in group:
                    registration.write(db, spool.next())
            log.info("batch %s: %s of %s rows registered", registration.batch, f"{spool.read:,}", f"{spool.items:,}")
        with transaction() as db:
            if len(groups) < 2:
                registration.begin(db, spool.items)
            for _ in groups[-1] if groups else ():
                registration.write(db, spool.next())
            return registration.finish(db)


@dataclass
class Registration:
    """The registration of a batch's rows, in any number of transactions: `begin`, `write` each chunk, `finish`.

    An unchanged row is read and not written: running a batch again leaves no dead rows in PostgreSQL.
    """

    batch: str
    now: datetime
    sharing: Sharing = NOTHING_SHARED
    total: int = field(default=0, init=False)
    _is_new: bool = field(default=False, init=False)
    _differs: bool = field(default=False, init=False)

    def begin(self, db: sa.Connection, total: int) -> None:
        """Record that `total` rows are being registered, before the first chunk is written.

        Raises LedgerError for a batch whose rows are added in blocks.
        """
        self.total = total
        registered = {"state": "registered", "rows": self.total, "shares": self.sharing.within_batch}
        # The write comes first: SQLite refuses to write in a transaction that has read an older state.
        insert = insert_into(db, batches).values(batch=self.batch, state="registering", rows=self.total, shares=False)
        db.execute(insert.on_conflict_do_nothing())
        found = db.execute(sa.select(batches).where(batches.c.batch == self.batch)).mappings().one()
        if found["state"] == OPEN:
            raise LedgerError(f"batch {self.batch!r}: it has the rows of ParetaCompleter; choose another name")
        self._differs = any(found[name] != value for name, value in registered.items())
        if self._differs:
            db.execute(batches.update().where(batches.c.batch == self.batch).values(state="registering"))
        self._is_new = not db.scalar(sa.select(sa.exists().where(rows.c.batch == self.batch)))
        if not self._is_new:
            fit_shards(db, self.batch, self.total)

    def write(self, db: sa.Connection, chunk: Sequence[RowRequest]) -> None:
        """Register rows of adjacent positions."""
        if self._is_new:
            insert_rows(db, [pending_row(self.batch, request, self.now) for request in chunk])
            return
        span = {"of_batch": self.batch, "first": chunk[0].position, "end": chunk[-1].position + 1}
        registered: dict[int, Found] = {}
        for position, key, work, prompt_bytes, options, scope, has_request in db.execute(_REGISTERED, span):
            registered[position] = (key, work, prompt_bytes if has_request else -1, options, scope)
        new = [request for request in chunk if registered.get(request.position) != _found_if_unchanged(request)]
        if new:
            self._replace(db, registered, new)

    def _replace(self, db: sa.Connection, registered: dict[int, Found], new: Sequence[RowRequest]) -> None:
        """Write the rows that differ from the registered ones."""
        self._start_changes(db)
        positions = [request.position for request in new]
        uncount(db, self.batch, shards.c.shard.in_({LEFT, *(position // SHARD_ROWS for position in positions)}))
        uncount_keys(db, self.batch, [request.key for request in new])
        # Positions are cleared before any is assigned: a row may only have moved.
        if any(position in registered for position in positions):
            self._unplace(db, rows.c.position.in_(positions))
        upsert_rows(db, [pending_row(self.batch, request, self.now) for request in new])

    def finish(self, db: sa.Connection) -> RegisteredRows:
        """Remove the rows beyond the dataset, choose the rows that share an answer, and return the counts."""
        self._remove_beyond(db)
        fit_shards(db, self.batch, self.total, pending=self._is_new, shrink=True)
        if db.dialect.name == "postgresql":
            _analyze_if_underestimated(db, self.batch, self.total)
        if self._differs and not self._is_new:
            if self.sharing.moves:
                move_outcomes(db, self.batch, WORKED_ON)
            elif self.sharing.within_batch:
                move_outcomes(db, self.batch, DOUBTFUL)
        recount(db, self.batch)
        sums = sums_of(db, Uncounted.of(db, self.batch))
        waiting = (sums["copies"] or 0) + (sums["reused"] or 0) - (sums["copied"] or 0)
        differs = self._differs or self._is_new
        if share(db, self.batch, self.sharing, self.now, differs=differs, waiting=waiting > 0):
            recount(db, self.batch)
            sums = sums_of(db, Uncounted.of(db, self.batch))
        if differs:
            values = {"state": "registered", "rows": self.total, "shares": self.sharing.within_batch}
            db.execute(batches.update().where(batches.c.batch == self.batch).values(values))
        return RegisteredRows(self.total, changed_rows(db, self.batch), sums["copies"] or 0, sums["reused"] or 0)

    def _remove_beyond(self, db: sa.Connection) -> None:
        beyond = rows.c.position >= self.total
        if not self._is_new and db.scalar(sa.select(sa.exists().where(rows.c.batch == self.batch, beyond))):
            self._start_changes(db)
            first = self.total // SHARD_ROWS
            uncount(db, self.batch, sa.or_(shards.c.shard == LEFT, shards.c.shard >= first))
            self._unplace(db, beyond)

    def _unplace(self, db: sa.Connection, which: sa.ColumnElement[bool]) -> None:
        db.execute(rows.update().where(rows.c.batch == self.batch, which).values(position=None))

    def _start_changes(self, db: sa.Connection) -> None:
        if not self._differs:
            self._differs = True
            db.execute(batches.update().where(batches.c.batch == self.batch).values(state="registering"))


def changed_rows(db: sa.Connection, batch: str) -> int:
    """Return the number of current rows with an earlier version, of the same key, that was worked on."""
    superseded = sa.and_(rows.c.position.is_(None), rows.c.attempts > 0)
    if not db.scalar(sa.select(sa.exists().where(rows.c.batch == batch, superseded))):
        return 0
    # Grouped, not joined: one pass over the batch with any estimate of the planner.
    keys = (
        sa.select(rows.c.key)
        .where(rows.c.batch == batch)
        .group_by(rows.c.key)
        .having(sa.func.count(rows.c.position) > 0, sa.func.max(sa.case((superseded, 1), else_=0)) > 0)
    )
    return db.scalar(sa.select(sa.func.count()).select_from(keys.subquery())) or 0


def _analyze_if_underestimated(db: sa.Connection, batch: str, total: int) -> None:
    """Run ANALYZE if the planner expects far fewer rows; it would otherwise scan the whole batch for each row."""
    explain = sa.text("EXPLAIN (FORMAT JSON) SELECT FROM rows WHERE batch = :batch")
    plan = db.execute(explain, {"batch": batch}).scalar_one()
    if plan[0]["Plan"]["Plan Rows"] * MAX_UNDERESTIMATE < total:
        db.exec_driver_sql(f"ANALYZE (SKIP_LOCKED) {rows.name}")


def _found_if_unchanged(request: RowRequest) -> Found:
    return (request.key, request.fingerprint, request.prompt_bytes, request.options, request.scope)


def pending_row(batch: str, request: RowRequest, now: datetime) -> dict[str, Any]:
    """Return the columns of a row that was not sent."""
    return {
        "batch": batch,
        "key": request.key,
        "fingerprint": request.fingerprint,
        "position": request.position,
        "state": "pending",
        "attempts": 0,
        "retryable": False,
        "prompt_bytes": request.prompt_bytes,
        "updated_at": now,
        "messages": list(request.messages),
        "options": request.options,
        "scope": request.scope,
    }
