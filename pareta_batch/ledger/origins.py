"""Origins in the ledger: the deployment or flow that started each batch."""

from collections.abc import Collection

import sqlalchemy as sa

from pareta_batch.ledger.database import insert_into
from pareta_batch.ledger.ledger import Ledger
from pareta_batch.ledger.schema import origins, rows


def origin_of(batch: str, ledger: Ledger) -> str | None:
    """Return the origin of a batch; None for a new batch, or one from before origins were recorded."""
    with ledger.transaction() as db:
        return db.scalar(sa.select(origins.c.origin).where(origins.c.batch == batch))


def claim_origin(batch: str, origin: str, ledger: Ledger, *, replaces: bool = False) -> str | None:
    """Record the origin of a batch that has no rows, and return its origin: of two concurrent claims, the first.

    `replaces`: overwrite an origin that claimed the name and registered no row. Returns None for a batch with rows
    from before origins were recorded.
    """
    with ledger.transaction() as db:
        if not db.scalar(sa.select(sa.exists().where(rows.c.batch == batch))):
            if replaces:
                db.execute(origins.delete().where(origins.c.batch == batch))
            db.execute(insert_into(db, origins).values(batch=batch, origin=origin).on_conflict_do_nothing())
        return db.scalar(sa.select(origins.c.origin).where(origins.c.batch == batch))


def billed_to(started_by: Collection[str], ledger: Ledger, but: str) -> int:
    """Return the sum of receipts, in micro-USD, of all batches of these origins except one batch."""
    theirs = sa.select(origins.c.batch).where(origins.c.origin.in_(started_by), origins.c.batch != but)
    with ledger.transaction() as db:
        return int(db.scalar(sa.select(sa.func.sum(rows.c.billed_micro_usd)).where(rows.c.batch.in_(theirs))) or 0)
