"""Rows that left the dataset: a new row with the same request takes over the outcome, in order.

The key of a row without an id is a hash of all its columns: it changes with columns that the request does not use.
A request in doubt is taken over by a row with any key. The new row keeps the idempotency key of the earlier one
(`sent_as`).
"""

import sqlalchemy as sa

from pareta_batch.ledger.schema import rows
from pareta_batch.ledger.selection import current
from pareta_batch.ledger.shards import uncount

_OWN = frozenset({"batch", "key", "fingerprint", "position", "prompt_bytes", "options", "messages", "scope"})
"""Columns that the new row keeps."""

WORKED_ON = sa.or_(
    rows.c.state != "pending", rows.c.in_doubt, rows.c.attempts > 0, rows.c.billed_micro_usd.is_not(None)
)
"""Rows with an outcome or an attempt."""
_answer = rows.alias("answer")
_of_same_work = (_answer.c.batch == rows.c.batch, _answer.c.fingerprint == rows.c.fingerprint)
DOUBTFUL = sa.and_(
    rows.c.state != "settled",
    sa.or_(rows.c.in_doubt, rows.c.turns.is_not(None)),
    rows.c.scope != "row",
    sa.not_(sa.exists().where(*_of_same_work, _answer.c.state == "settled")),
)
"""Rows whose request may have been paid, whose answer others may share, and to whose request there is no answer."""


def move_outcomes(db: sa.Connection, batch: str, which: sa.ColumnElement[bool]) -> None:
    """Move the outcomes of rows that left the dataset to new rows with the same request."""
    left = (rows.c.batch == batch, rows.c.position.is_(None), which)
    if not db.scalar(sa.select(sa.exists().where(*left))):
        return
    uncount(db, batch)
    old = _numbered(
        sa.case((rows.c.state == "settled", 0), (rows.c.in_doubt, 1), (rows.c.state == "failed", 2), else_=3),
        rows.c.updated_at,
        rows.c.key,
    ).where(*left)
    new = _numbered(rows.c.position).where(
        *current(batch), sa.not_(WORKED_ON), rows.c.fingerprint.in_(sa.select(rows.c.fingerprint).where(*left))
    )
    earlier, later = old.subquery("earlier"), new.subquery("later")
    # A negative position joins an earlier row with its new one until its outcome is copied.
    paired = rows.update().where(
        rows.c.batch == batch,
        rows.c.key == earlier.c.key,
        rows.c.fingerprint == earlier.c.fingerprint,
        later.c.fingerprint == earlier.c.fingerprint,
        later.c.number == earlier.c.number,
    )
    db.execute(paired.values(position=-1 - later.c.position))
    _take_over(db, batch)


def _numbered(*order: sa.ColumnElement[object]) -> sa.Select[tuple[str, str, int, int]]:
    number = sa.func.row_number().over(partition_by=rows.c.fingerprint, order_by=order)
    return sa.select(rows.c.key, rows.c.fingerprint, rows.c.position, number.label("number"))


def _take_over(db: sa.Connection, batch: str) -> None:
    before = rows.alias("before")
    taken = rows.update().where(
        rows.c.batch == batch,
        rows.c.position >= 0,
        before.c.batch == batch,
        before.c.position < 0,
        before.c.position == -1 - rows.c.position,
    )
    values: dict[str, sa.ColumnElement[object]] = {
        column.name: before.c[column.name] for column in rows.c if column.name not in _OWN
    }
    values["sent_as"] = sa.func.coalesce(before.c.sent_as, before.c.key)
    values["messages"] = sa.case((before.c.state == "settled", sa.null()), else_=rows.c.messages)
    db.execute(taken.values(values))
    db.execute(rows.delete().where(rows.c.batch == batch, rows.c.position < 0))
