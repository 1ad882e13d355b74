"""Registering a dataset as a batch's current rows: only the rows that differ from the ledger are written."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

import sqlalchemy as sa

from pareta_batch.ledger.database import insert_into
from pareta_batch.ledger.schema import rows
from pareta_batch.ledger.selection import current
from pareta_batch.rows import RowRequest

CHUNK_ROWS = 1_000
"""Rows that are compared and written at a time; higher needs more memory."""

MOST_UNDERESTIMATED = 10
"""Rows of a batch per row that PostgreSQL expects; higher analyzes the table less often, and risks plans that scan."""

Found = tuple[str, str, int]

_is_settled = rows.c.state == "settled"
# Which work stands at each position, and whether it has what a request needs.
_ask_is_here = sa.or_(_is_settled, rows.c.messages.is_not(sa.null()))
_STANDING = sa.select(rows.c.position, rows.c.key, rows.c.fingerprint, rows.c.prompt_bytes, _ask_is_here).where(
    rows.c.batch == sa.bindparam("of_batch"),
    rows.c.position >= sa.bindparam("first"),
    rows.c.position < sa.bindparam("end"),
)
_LEAVE = (
    rows.update()
    .where(rows.c.batch == sa.bindparam("of_batch"), rows.c.position == sa.bindparam("at"))
    .values(position=None)
)


def register(db: sa.Connection, batch: str, asks: Iterable[RowRequest], now: datetime) -> int:
    """Make `asks`, in the order of their positions, the current rows of the batch; return their number.

    A row that stands where it stood is read and not written: a batch that is run again costs no dead rows.
    """
    total = 0
    stream = iter(asks)
    while chunk := list(islice(stream, CHUNK_ROWS)):
        _register_chunk(db, batch, chunk, now)
        total += len(chunk)
    db.execute(rows.update().where(*current(batch), rows.c.position >= total).values(position=None))
    if db.dialect.name == "postgresql":
        _tell_planner(db, batch, total)
    return total


def changed_rows(db: sa.Connection, batch: str) -> int:
    """Count the current rows that have an earlier version with the same key, which was worked on."""
    superseded = sa.case((sa.and_(rows.c.position.is_(None), rows.c.attempts > 0), 1), else_=0)
    # Grouped, not joined: one pass over the batch whatever the planner takes it for.
    keys = (
        sa.select(rows.c.key)
        .where(rows.c.batch == batch)
        .group_by(rows.c.key)
        .having(sa.func.count(rows.c.position) > 0, sa.func.max(superseded) > 0)
    )
    return db.scalar(sa.select(sa.func.count()).select_from(keys.subquery())) or 0


def _tell_planner(db: sa.Connection, batch: str, total: int) -> None:
    """Analyze the table if the planner expects far fewer rows: it would read the whole batch for each row of it."""
    explain = sa.text("EXPLAIN (FORMAT JSON) SELECT FROM rows WHERE batch = :batch")
    plan = db.execute(explain, {"batch": batch}).scalar_one()
    if plan[0]["Plan"]["Plan Rows"] * MOST_UNDERESTIMATED < total:
        db.exec_driver_sql(f"ANALYZE (SKIP_LOCKED) {rows.name}")


def _register_chunk(db: sa.Connection, batch: str, chunk: Sequence[RowRequest], now: datetime) -> None:
    """Register rows of adjacent positions."""
    span = {"of_batch": batch, "first": chunk[0].position, "end": chunk[-1].position + 1}
    standing: dict[int, Found] = {}
    for position, key, work, prompt_bytes, ask_is_here in db.execute(_STANDING, span):
        standing[position] = (key, work, prompt_bytes if ask_is_here else -1)
    new = [ask for ask in chunk if standing.get(ask.position) != (ask.key, ask.fingerprint, ask.prompt_bytes)]
    # All that leave a position go before any row comes: a row may only have moved.
    if left := standing.keys() - {ask.position for ask in chunk} | standing.keys() & {ask.position for ask in new}:
        db.execute(_LEAVE, [{"of_batch": batch, "at": position} for position in left])
    if new:
        db.execute(_upsert(db), [_pending(batch, ask, now) for ask in new])


def _upsert(db: sa.Connection) -> sa.Insert:
    statement = insert_into(db, rows)
    # The documents of a row that was answered are not stored again.
    messages = sa.case((_is_settled, sa.null()), else_=statement.excluded.messages)
    renewed = {name: statement.excluded[name] for name in ("position", "prompt_bytes")} | {"messages": messages}
    return statement.on_conflict_do_update(index_elements=["batch", "key", "fingerprint"], set_=renewed)


def _pending(batch: str, ask: RowRequest, now: datetime) -> dict[str, Any]:
    return {
        "batch": batch,
        "key": ask.key,
        "fingerprint": ask.fingerprint,
        "position": ask.position,
        "state": "pending",
        "prompt_bytes": ask.prompt_bytes,
        "updated_at": now,
        "messages": list(ask.messages),
    }
