"""Registration of a dataset as a batch's current rows; only rows that differ from the ledger are written."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

import sqlalchemy as sa

from pareta_batch.ledger.database import insert_into
from pareta_batch.ledger.moves import move_outcomes
from pareta_batch.ledger.schema import rows
from pareta_batch.ledger.selection import current
from pareta_batch.ledger.sharing import NOTHING_SHARED, Sharing, share
from pareta_batch.rows import RowRequest

CHUNK_ROWS = 1_000
"""Rows that are compared and written at once; higher needs more memory."""

MAX_UNDERESTIMATE = 10
"""Rows of a batch per row that PostgreSQL expects; higher runs ANALYZE less often, and risks table scans."""

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
_UNPLACE = (
    rows.update()
    .where(rows.c.batch == sa.bindparam("of_batch"), rows.c.position == sa.bindparam("at"))
    .values(position=None)
)


def register(
    db: sa.Connection, batch: str, requests: Iterable[RowRequest], now: datetime, sharing: Sharing = NOTHING_SHARED
) -> int:
    """Register `requests`, in the order of their positions, as the batch's current rows; return their number.

    An unchanged row is read and not written: running a batch again leaves no dead rows in PostgreSQL.
    """
    total = 0
    stream = iter(requests)
    while chunk := list(islice(stream, CHUNK_ROWS)):
        _register_chunk(db, batch, chunk, now)
        total += len(chunk)
    db.execute(rows.update().where(*current(batch), rows.c.position >= total).values(position=None))
    if db.dialect.name == "postgresql":
        _analyze_if_underestimated(db, batch, total)
    if sharing.moves:
        move_outcomes(db, batch)
    share(db, batch, sharing, now)
    return total


def changed_rows(db: sa.Connection, batch: str) -> int:
    """Return the number of current rows with an earlier version, of the same key, that was worked on."""
    superseded = sa.case((sa.and_(rows.c.position.is_(None), rows.c.attempts > 0), 1), else_=0)
    # Grouped, not joined: one pass over the batch with any estimate of the planner.
    keys = (
        sa.select(rows.c.key)
        .where(rows.c.batch == batch)
        .group_by(rows.c.key)
        .having(sa.func.count(rows.c.position) > 0, sa.func.max(superseded) > 0)
    )
    return db.scalar(sa.select(sa.func.count()).select_from(keys.subquery())) or 0


def _analyze_if_underestimated(db: sa.Connection, batch: str, total: int) -> None:
    """Run ANALYZE if the planner expects far fewer rows; it would otherwise scan the whole batch for each row."""
    explain = sa.text("EXPLAIN (FORMAT JSON) SELECT FROM rows WHERE batch = :batch")
    plan = db.execute(explain, {"batch": batch}).scalar_one()
    if plan[0]["Plan"]["Plan Rows"] * MAX_UNDERESTIMATE < total:
        db.exec_driver_sql(f"ANALYZE (SKIP_LOCKED) {rows.name}")


def _register_chunk(db: sa.Connection, batch: str, chunk: Sequence[RowRequest], now: datetime) -> None:
    """Register rows of adjacent positions."""
    span = {"of_batch": batch, "first": chunk[0].position, "end": chunk[-1].position + 1}
    registered: dict[int, Found] = {}
    for position, key, work, prompt_bytes, options, scope, has_request in db.execute(_REGISTERED, span):
        registered[position] = (key, work, prompt_bytes if has_request else -1, options, scope)
    new = [request for request in chunk if registered.get(request.position) != _found_if_unchanged(request)]
    # Positions are cleared before any is assigned: a row may only have moved.
    if left := registered.keys() - {request.position for request in chunk} | registered.keys() & {
        request.position for request in new
    }:
        db.execute(_UNPLACE, [{"of_batch": batch, "at": position} for position in left])
    if new:
        db.execute(_upsert(db), [_pending(batch, request, now) for request in new])


def _found_if_unchanged(request: RowRequest) -> Found:
    return (request.key, request.fingerprint, request.prompt_bytes, request.options, request.scope)


def _upsert(db: sa.Connection) -> sa.Insert:
    statement = insert_into(db, rows)
    # The messages of an answered row are not stored again.
    messages = sa.case((_is_settled, sa.null()), else_=statement.excluded.messages)
    renewed = {name: statement.excluded[name] for name in ("position", "prompt_bytes", "options", "scope")} | {
        "messages": messages
    }
    return statement.on_conflict_do_update(index_elements=["batch", "key", "fingerprint"], set_=renewed)


def _pending(batch: str, request: RowRequest, now: datetime) -> dict[str, Any]:
    return {
        "batch": batch,
        "key": request.key,
        "fingerprint": request.fingerprint,
        "position": request.position,
        "state": "pending",
        "prompt_bytes": request.prompt_bytes,
        "updated_at": now,
        "messages": list(request.messages),
        "options": request.options,
        "scope": request.scope,
    }
