"""Answers that rows share: copies within a batch, and answers taken over from other batches of the ledger.

A copy has the columns `copy_batch` and `copy_of`, which name its original with the same fingerprint. It is never sent.
Once its original has an outcome, one UPDATE writes that of all copies: no process has to remember them.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from pareta_batch.ledger.schema import rows, shards
from pareta_batch.ledger.selection import current
from pareta_batch.ledger.shards import Uncounted, uncount


@dataclass(frozen=True)
class Sharing:
    """The kinds of sharing in a registration.

    `within_batch`: equal requests of the batch. `max_age`: with answers of other batches that are not older.
    `moves`: rows without an id keep their outcome when a column changes that the request does not use.
    """

    within_batch: bool = False
    max_age: timedelta | None = None
    moves: bool = False


NOTHING_SHARED = Sharing()

_unsettled = rows.c.state != "settled"
_is_copy = rows.c.copy_of.is_not(None)
# A request in doubt is sent again under its own key, which costs nothing if it was paid.
_may_copy = sa.and_(_unsettled, sa.not_(rows.c.in_doubt), rows.c.turns.is_(None))
_CLEARED = {
    **dict.fromkeys(("copy_batch", "copy_of", "error", "error_message", "request_id", "notes"), sa.null()),
    "state": "pending",
    "retryable": False,
    "attempts": 0,
}
_COPIED = ("answer", "finish_reason", "flag", "error", "error_message", "retryable", "request_id", "message")


def share(db: sa.Connection, batch: str, sharing: Sharing, now: datetime, *, differs: bool, waiting: bool) -> bool:
    """Choose the originals and the copies of a batch's current rows, and write the known outcomes of the copies.

    Returns whether rows may have been written. `differs`: the rows or the sharing changed since the last registration;
    otherwise the copies within the batch are those of then. `waiting`: there are copies without an answer.
    """
    duplicates = _duplicates(db, batch) if differs and sharing.within_batch else None
    if not (duplicates is not None or waiting or sharing.max_age is not None):
        return False
    uncount(db, batch)
    if differs and waiting:
        _clear_copies(db, batch, duplicates)
    if duplicates is not None:
        _mark_copies(db, batch, duplicates)
    if sharing.max_age is not None:
        _mark_reused(db, batch, now - sharing.max_age)
    _write_copies(db, batch, now)
    return True


def settle_copies(db: sa.Connection, batch: str, now: datetime) -> None:
    """Write the outcome of each original to its copies, with a bill of 0 and the request id of the original."""
    uncounted = Uncounted.of(db, batch)
    copies, reused, copied = (sa.func.coalesce(shards.c[name], 0) for name in ("copies", "reused", "copied"))
    waiting = copies + reused > copied
    if (stored := uncounted.stored()) and db.scalar(sa.select(sa.exists().where(*stored, waiting))):
        uncount(db, batch, waiting)
    elif not ((live := uncounted.rows()) and db.scalar(sa.select(sa.exists().where(*live, _is_copy, _unsettled)))):
        return
    _write_copies(db, batch, now)


def _write_copies(db: sa.Connection, batch: str, now: datetime) -> None:
    original = rows.alias("original")
    is_reused = original.c.batch != batch
    source = sa.case(
        (is_reused, sa.literal("reused from batch ") + original.c.batch + ", row " + original.c.key),
        else_=sa.literal("copied from ") + original.c.key,
    )
    settled = original.c.state == "settled"
    saved = sa.case((original.c.copy_of.is_not(None), original.c.saved_micro_usd), else_=original.c.billed_micro_usd)
    copied = rows.update().where(
        *current(batch),
        _is_copy,
        _unsettled,
        original.c.batch == rows.c.copy_batch,
        original.c.key == rows.c.copy_of,
        original.c.fingerprint == rows.c.fingerprint,
        original.c.state.in_(("settled", "failed")),
    )
    values = {name: original.c[name] for name in _COPIED} | {
        "state": original.c.state,
        "attempts": original.c.attempts,
        "notes": source + sa.func.coalesce(sa.literal("; ") + original.c.notes, ""),
        "messages": sa.case((settled, sa.null()), else_=rows.c.messages),
        "billed_micro_usd": sa.case((settled, sa.func.coalesce(rows.c.billed_micro_usd, 0)), else_=None),
        "prompt_tokens": sa.case((settled, 0), else_=None),
        "completion_tokens": sa.case((settled, 0), else_=None),
        "saved_micro_usd": sa.case((settled, sa.func.coalesce(saved, 0)), else_=None),
        "updated_at": sa.literal(now, sa.DateTime),
    }
    db.execute(copied.values(values))


def distinct_rows(total: int, copies: int) -> str:
    """Return the number of distinct rows as text."""
    return f"{total - copies:,} of {total:,} rows are distinct"


def _duplicates(db: sa.Connection, batch: str) -> sa.Subquery | None:
    """Return the rows whose request other rows of the batch have too, each with its original; None without any."""
    # Answers of removed rows are originals too: they are paid.
    of_batch = (
        rows.c.batch == batch,
        rows.c.scope != "row",
        sa.or_(rows.c.position.is_not(None), rows.c.state == "settled"),
    )
    several = sa.select(rows.c.fingerprint).where(*of_batch).group_by(rows.c.fingerprint)
    several = several.having(sa.func.count() > 1, sa.func.count(rows.c.position) > 0)
    if db.execute(several.limit(1)).first() is None:
        return None
    best_first = (
        sa.case((rows.c.state == "settled", 0), (rows.c.in_doubt, 1), (rows.c.turns.is_not(None), 2), else_=3),
        sa.case((_is_copy, 1), else_=0),
        sa.func.coalesce(rows.c.position, -1),
        rows.c.key,
    )
    columns = (
        rows.c.key,
        rows.c.fingerprint,
        sa.func.first_value(rows.c.key).over(partition_by=rows.c.fingerprint, order_by=best_first).label("original"),
        sa.func.row_number().over(partition_by=rows.c.fingerprint, order_by=best_first).label("place"),
    )
    return sa.select(*columns).where(*of_batch, rows.c.fingerprint.in_(several)).subquery("ranked")


def _clear_copies(db: sa.Connection, batch: str, duplicates: sa.Subquery | None) -> None:
    """Make copies without a valid original rows of their own, which are sent."""
    stale: tuple[sa.ColumnElement[bool], ...] = (rows.c.batch == batch, _is_copy, _unsettled)
    if duplicates is not None:
        kept = sa.select(duplicates.c.key, duplicates.c.fingerprint).where(duplicates.c.place > 1)
        stale = (*stale, sa.tuple_(rows.c.key, rows.c.fingerprint).not_in(kept))
    db.execute(rows.update().where(*stale).values(_CLEARED))


def _mark_copies(db: sa.Connection, batch: str, ranked: sa.Subquery) -> None:
    marked = rows.update().where(
        *current(batch),
        _may_copy,
        rows.c.key == ranked.c.key,
        rows.c.fingerprint == ranked.c.fingerprint,
        ranked.c.place > 1,
        rows.c.copy_of.is_distinct_from(ranked.c.original),
    )
    db.execute(marked.values(copy_batch=batch, copy_of=ranked.c.original))


def _mark_reused(db: sa.Connection, batch: str, since: datetime) -> None:
    """Mark the rows whose request another batch of the ledger has an answer to; the latest answer is taken."""
    wanted = (*current(batch), _may_copy, rows.c.copy_of.is_(None), rows.c.scope == "ledger")
    if not db.scalar(sa.select(sa.exists().where(*wanted))):
        return
    other = rows.alias("other")
    latest_first = (other.c.updated_at.desc(), other.c.batch, other.c.key)
    number = sa.func.row_number().over(partition_by=other.c.fingerprint, order_by=latest_first)
    found = (
        sa.select(
            *(other.c[name] for name in ("batch", "key", "fingerprint")),
            number.label("place"),
        )
        .where(
            other.c.batch != batch,
            other.c.state == "settled",
            # The age of an answer is that of its original.
            other.c.copy_of.is_(None),
            sa.or_(other.c.flag.is_(None), other.c.flag.not_in(("misfit", "unchecked"))),
            other.c.updated_at >= since,
            other.c.fingerprint.in_(sa.select(rows.c.fingerprint).where(*wanted)),
        )
        .subquery("found")
    )
    reused = rows.update().where(*wanted, rows.c.fingerprint == found.c.fingerprint, found.c.place == 1)
    db.execute(reused.values(copy_batch=found.c.batch, copy_of=found.c.key))
