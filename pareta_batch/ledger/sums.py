"""SQL expressions that are counted and summed over the rows of a batch, and the addition of stored and live sums."""

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from pareta_batch.ledger.schema import SUMMED, rows, shards
from pareta_batch.ledger.selection import ALL_UNSETTLED
from pareta_batch.ledger.storable import MAX_VALUE

ROUNDED_UP = 2
"""Micro-USD that rounding up may add to one receipt and to its bound."""
MAX_TURNS = 6
"""Turns of a row, each of whose receipts is rounded up."""

Sums = dict[str, int | None]

paid = rows.c.state == "settled"
# An older version wrote unchecked values of the service: texts and absurd numbers are no receipts.
# The receipt of a lost turn is missing in the sum, and its tokens are not: the quotient would be too low.
priced = sa.and_(
    sa.or_(paid, rows.c.turns.is_not(None)),
    rows.c.lost_receipts == 0,
    *(each.between(1, MAX_VALUE) for each in (rows.c.billed_micro_usd, rows.c.prompt_tokens, rows.c.completion_tokens)),
)
_unknown = sa.and_(sa.not_(paid), sa.or_(rows.c.in_doubt, rows.c.lost_receipts > 0))
_replayed = sa.and_(paid, rows.c.resent, sa.or_(rows.c.billed_micro_usd == 0, rows.c.lost_receipts > 0))
SENT_BYTES = rows.c.prompt_bytes + rows.c.turn_bytes
_unbilled = sa.and_(paid, rows.c.billed_micro_usd.is_(None))
_unanswered = sa.and_(sa.not_(paid), sa.not_(_unknown), rows.c.billed_micro_usd > 0)
LOST = sa.or_(_unknown, _replayed, _unbilled)


def where(condition: sa.ColumnElement[bool], column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Return the column where the condition holds, and null elsewhere."""
    return sa.case((condition, column))


_HALF = 2**32
_DIVISOR = sa.literal(_HALF, sa.BigInteger)  # PostgreSQL would infer a 32-bit integer
ONE = sa.literal(1)


class Columns:
    """Columns to be summed, built once: building the expressions takes longer than reading a small batch.

    Each sum is in two halves: SQLite raises an error for a sum beyond 63 bits, which ten receipts of an older ledger
    can exceed.
    """

    def __init__(self, columns: Mapping[str, sa.ColumnElement[Any]]) -> None:
        self._names = tuple(columns)
        self.halves = [
            half for each in columns.values() for half in (sa.func.sum(each // _DIVISOR), sa.func.sum(each % _DIVISOR))
        ]
        self._query = sa.select(*self.halves)

    def joined(self, found: Iterable[Any]) -> Sums:  # the values of a row of a query
        """Return the sums by name from their halves; None for a column without a value."""
        sums = iter(found)
        # PostgreSQL returns sums of big integers as decimals.
        return {
            name: None if high is None or low is None else int(high) * _HALF + int(low)
            for name, high, low in zip(self._names, sums, sums, strict=True)
        }

    def summed(self, db: sa.Connection, *which: sa.ColumnElement[bool]) -> Sums:
        """Return the sums over some rows; None for a column without a value."""
        return self.joined(db.execute(self._query.where(*which)).one())


CURRENT = Columns(
    {
        "to_send": where(ALL_UNSETTLED.condition(), ONE),
        "settled": where(paid, ONE),
        "failed": where(rows.c.state == "failed", ONE),
        "pending": where(rows.c.state == "pending", ONE),
        "billed_micro_usd": rows.c.billed_micro_usd,
        "prompt_tokens": where(paid, rows.c.prompt_tokens),
        "completion_tokens": where(paid, rows.c.completion_tokens),
        "unknown": where(_unknown, ONE),
        "unknown_bytes": where(_unknown, SENT_BYTES),
        "billed_unanswered": where(_unanswered, ONE),
        "unanswered_micro_usd": where(sa.not_(paid), rows.c.billed_micro_usd),
        "resent": where(sa.and_(paid, rows.c.resent), ONE),
        "replayed": where(_replayed, ONE),
        "replayed_prompt_tokens": where(_replayed, rows.c.prompt_tokens),
        "replayed_completion_tokens": where(_replayed, rows.c.completion_tokens),
        "asked_again": where(rows.c.turns.is_not(None), ONE),
        "asked_again_micro_usd": rows.c.asked_again_micro_usd,
        "lost_turns": where(sa.not_(paid), rows.c.lost_receipts),
        "lost_turn_bytes": where(sa.not_(paid), rows.c.lost_receipts * SENT_BYTES),
        "copies": where(rows.c.copy_batch == rows.c.batch, ONE),
        "open_copies": where(sa.and_(rows.c.state == "pending", rows.c.copy_of.is_not(None)), ONE),
        "copied": where(sa.and_(paid, rows.c.copy_of.is_not(None)), ONE),
        "reused": where(rows.c.copy_batch != rows.c.batch, ONE),
        "saved_micro_usd": where(paid, rows.c.saved_micro_usd),
        "unbilled": where(_unbilled, ONE),
        "unbilled_bytes": where(_unbilled, SENT_BYTES),
    }
)
"""Of the rows of the current dataset."""
SUPERSEDED = Columns(
    {
        "superseded_micro_usd": rows.c.billed_micro_usd,
        "superseded_unknown": where(LOST, 1 + rows.c.lost_receipts),
        "superseded_bytes": where(LOST, (1 + rows.c.lost_receipts) * SENT_BYTES),
    }
)
"""Of the rows that left the dataset."""
STORED = Columns({name: shards.c[name] for name in SUMMED})
"""Of counted shards."""

prompt_quotient = sa.cast(rows.c.billed_micro_usd, sa.Float) / rows.c.prompt_tokens
completion_quotient = sa.cast(rows.c.billed_micro_usd, sa.Float) / rows.c.completion_tokens
rounding = ROUNDED_UP + sa.case((rows.c.turns.is_not(None), MAX_TURNS), else_=0)


def plus(one: Sums, other: Sums) -> Sums:
    """Return the sums of two sets of rows."""
    names = dict.fromkeys((*one, *other))
    return {name: _plus(one.get(name), other.get(name)) for name in names}


def _plus(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return one + other
