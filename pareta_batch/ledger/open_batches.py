"""Batches without a dataset: their rows are added in blocks, by any number of processes, and found again by key."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import sqlalchemy as sa

from pareta_batch.ledger.chunks import in_chunks
from pareta_batch.ledger.database import insert_into
from pareta_batch.ledger.ledger import Ledger
from pareta_batch.ledger.registration import CHUNK_ROWS, OPEN, pending_row
from pareta_batch.ledger.row_copies import upsert_rows
from pareta_batch.ledger.run_tables import open_batches
from pareta_batch.ledger.schema import batches, rows, shards
from pareta_batch.ledger.selection import ALL_UNSETTLED, current
from pareta_batch.ledger.shards import LEFT, SHARD_ROWS, uncount
from pareta_batch.rows import RowRequest


def open_batch(ledger: Ledger, batch: str, asked: str) -> str | None:
    """Create the batch unless it exists; return the reason why its name cannot be used, or None."""
    with ledger.transaction() as db:
        new = insert_into(db, batches).values(batch=batch, state=OPEN, rows=0, shares=False)
        db.execute(new.on_conflict_do_nothing())
        if db.scalar(sa.select(batches.c.state).where(batches.c.batch == batch)) != OPEN:
            return "is a batch with a dataset"
        db.execute(insert_into(db, open_batches).values(batch=batch, asked=asked).on_conflict_do_nothing())
        first = db.scalar(sa.select(open_batches.c.asked).where(open_batches.c.batch == batch))
    return None if first == asked else "has another prompt, model or sampling in this ledger"


def add_rows(ledger: Ledger, batch: str, requests: Mapping[str, RowRequest]) -> None:
    """Add the rows, by key, that the batch does not have; raises LedgerError."""
    for keys in in_chunks(requests, CHUNK_ROWS):
        with ledger.transaction() as db:
            new = _unknown(db, batch, keys)
        if new:
            with ledger.transaction() as db:
                _add(db, batch, [requests[key] for key in new])


def unsettled_rows(ledger: Ledger, batch: str, keys: Sequence[str]) -> dict[str, int]:
    """Return the positions of those rows that have no final outcome, by key."""
    found: dict[str, int] = {}
    for some in in_chunks(keys, CHUNK_ROWS):
        query = sa.select(rows.c.key, rows.c.position).where(*current(batch), rows.c.key.in_(some))
        with ledger.transaction() as db:
            found.update((key, position) for key, position in db.execute(query.where(ALL_UNSETTLED.condition())))
    return found


def _unknown(db: sa.Connection, batch: str, keys: Sequence[str]) -> list[str]:
    known = set(db.scalars(sa.select(rows.c.key).where(*current(batch), rows.c.key.in_(keys))))
    return [key for key in keys if key not in known]


def _add(db: sa.Connection, batch: str, requests: Sequence[RowRequest]) -> None:
    # The write comes first: it locks the batch. Of two processes with one request, the second finds the row.
    locked = batches.update().where(batches.c.batch == batch).values(rows=batches.c.rows)
    first = db.scalar(locked.returning(batches.c.rows)) or 0
    unknown = set(_unknown(db, batch, [request.key for request in requests]))
    wanted = [request for request in requests if request.key in unknown]
    if not wanted:
        return
    new = [replace(request, position=position) for position, request in enumerate(wanted, start=first)]
    numbers = sorted({LEFT, *(request.position // SHARD_ROWS for request in new)})
    missing = [{"batch": batch, "shard": number, "counted": False} for number in numbers]
    db.execute(insert_into(db, shards).on_conflict_do_nothing(), missing)
    uncount(db, batch, shards.c.shard.in_(numbers))
    now = datetime.now(UTC).replace(tzinfo=None)
    upsert_rows(db, [pending_row(batch, request, now) for request in new])
    db.execute(batches.update().where(batches.c.batch == batch).values(rows=first + len(new)))
