"""Counts per shard: they hold until a row of the shard is written, and a registration or a session counts it again.

The transaction that writes rows clears `counted` of their shards first. That locks these shards until it commits, so a
recount never stores counts from before the write. Shards that are not counted are read from their rows.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from pareta_batch.ledger.chunks import in_chunks
from pareta_batch.ledger.database import insert_into
from pareta_batch.ledger.schema import SUMMED, rows, shards
from pareta_batch.ledger.sums import (
    CURRENT,
    SUPERSEDED,
    completion_quotient,
    priced,
    prompt_quotient,
    rounding,
)

SHARD_ROWS = 500
"""Positions per counted shard: the default `shard_size`. Higher makes fewer counts, and longer recounts."""
LEFT = -1
"""Shard of the rows that left the dataset."""
MAX_LISTED = 5_000
"""Shards that a statement lists; higher reads the whole batch later, with longer statements."""
MAX_RANGES = 20
"""Ranges of positions in one statement; higher reads fewer rows in between, with more conditions."""

Condition = sa.ColumnElement[bool]

_MAX_STORED = 2**63
_SHARD = (rows.c.position // SHARD_ROWS).label("shard")
# The keys are one parameter: a statement of another text for each number of keys takes longer than SQLite.
_UNCOUNT = (
    "UPDATE shards SET counted = false WHERE batch = ?1 AND counted AND shard IN ("
    "SELECT coalesce(position / ?3, ?4) FROM json_each(?2) AS given"
    " CROSS JOIN rows ON rows.batch = ?1 AND rows.key = given.value)"
)
_SHARD_OF_KEY = sa.select(sa.func.coalesce(rows.c.position // SHARD_ROWS, LEFT))
_OF_KEYS = (
    shards.c.batch == sa.bindparam("of_batch"),
    shards.c.shard.in_(
        _SHARD_OF_KEY.where(
            rows.c.batch == sa.bindparam("of_batch"),
            rows.c.key == sa.any_(sa.bindparam("keys", type_=sa.ARRAY(sa.Text))),
        )
    ),
)
_IN_ORDER = sa.select(shards.c.shard).order_by(shards.c.shard).with_for_update()
_LOCK = _IN_ORDER.with_only_columns(shards.c.counted).where(*_OF_KEYS)
_UNCOUNT_LOCKED = shards.update().where(*_OF_KEYS, shards.c.counted).values(counted=False)


def uncount_keys(db: sa.Connection, batch: str, keys: Sequence[str], *, fenced: bool = False) -> None:
    """Clear `counted` of the shards with these rows, before the rows are written.

    `fenced`: the rows stay in their shards meanwhile, because the transaction excludes a registration.
    """
    if db.dialect.name == "postgresql":
        given = {"of_batch": batch, "keys": keys}
        # Members of a run lock in one order, or they would block each other. A locked row is read as it is now.
        counted = db.scalars(_LOCK, given).all()
        if any(counted) or not fenced:
            db.execute(_UNCOUNT_LOCKED, given)
    else:
        db.exec_driver_sql(_UNCOUNT, (batch, json.dumps(keys), SHARD_ROWS, LEFT))
        # SQLite ends a text of JSON at NUL, which an id may have.
        for key in (key for key in keys if "\0" in key):
            uncount(db, batch, shards.c.shard.in_(_SHARD_OF_KEY.where(rows.c.batch == batch, rows.c.key == key)))


def uncount(db: sa.Connection, batch: str, *which: Condition) -> None:
    """Clear `counted` of some shards of a batch, before their rows are written."""
    db.execute(shards.update().where(shards.c.batch == batch, *which).values(counted=False))


def fit_shards(db: sa.Connection, batch: str, total: int, *, pending: bool = False, shrink: bool = False) -> None:
    """Add the missing shards of `total` positions, and remove those beyond them if `shrink`.

    `pending`: the rows are new, and all are to be sent.
    """
    end = -(-total // SHARD_ROWS)
    known = set(db.scalars(sa.select(shards.c.shard).where(shards.c.batch == batch)))
    if shrink and any(number >= end for number in known):
        db.execute(shards.delete().where(shards.c.batch == batch, shards.c.shard >= end))
    if missing := sorted(set(range(LEFT, end)) - known):
        sizes = ((number, min(SHARD_ROWS, total - number * SHARD_ROWS) if number >= 0 else 0) for number in missing)
        new = [
            {"batch": batch, "shard": number, "counted": pending, "pending": size, "to_send": size}
            for number, size in sizes
        ]
        db.execute(insert_into(db, shards), new)


@dataclass(frozen=True)
class Uncounted:
    """The shards of a batch whose rows must be read: None for all, because the batch has no counts."""

    batch: str
    shards: Sequence[int] | None

    @classmethod
    def of(cls, db: sa.Connection, batch: str) -> "Uncounted":
        """Return the shards that are not counted now; those that are cleared later still have their last counts."""
        of_batch = shards.c.batch == batch
        found = db.scalars(sa.select(shards.c.shard).where(of_batch, sa.not_(shards.c.counted)).limit(MAX_LISTED + 1))
        numbers = sorted(found)
        known = bool(numbers) or db.scalar(sa.select(sa.exists().where(of_batch)))
        return cls(batch, numbers if known and len(numbers) <= MAX_LISTED else None)

    def stored(self) -> tuple[Condition, ...] | None:
        """Return the conditions for the shards whose counts hold; None without any."""
        if self.shards is None:
            return None
        return (shards.c.batch == self.batch, shards.c.shard.not_in(self.shards))

    def rows(self, more: Iterable[int] = ()) -> tuple[Condition, ...] | None:
        """Return the conditions for the current rows to be read, with those of `more` shards; None without any."""
        if self.shards is None:
            return rows_of(self.batch, None)
        numbers = sorted({*self.shards, *more} - {LEFT})
        return rows_of(self.batch, numbers) if numbers else None

    @property
    def left(self) -> bool:
        """Whether the rows that left the dataset must be read."""
        return self.shards is None or LEFT in self.shards


def rows_of(batch: str, numbers: Sequence[int] | None) -> tuple[Condition, ...]:
    """Return the conditions for the current rows of some shards; None or a long list: of all."""
    of_batch = (rows.c.batch == batch, rows.c.position.is_not(None))
    if numbers is None or len(numbers) > MAX_LISTED:
        return of_batch
    ranges = list(_ranges(numbers))
    if len(ranges) <= MAX_RANGES:
        return (*of_batch, sa.or_(*(_between(first, end) for first, end in ranges)))
    return (*of_batch, _between(ranges[0][0], ranges[-1][1]), (rows.c.position // SHARD_ROWS).in_(numbers))


def _ranges(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    first = end = numbers[0]
    for number in numbers:
        if number > end:
            yield first, end
            first = number
        end = number + 1
    yield first, end


def _between(first: int, end: int) -> Condition:
    return sa.and_(rows.c.position >= first * SHARD_ROWS, rows.c.position < end * SHARD_ROWS)


def recount(db: sa.Connection, batch: str, *which: Condition) -> None:
    """Count the shards again that are not counted."""
    stale_now = (shards.c.batch == batch, sa.not_(shards.c.counted), *which)
    if db.dialect.name == "postgresql":
        db.execute(_IN_ORDER.where(*stale_now))
    # The write comes first: it locks the shards, so that no other transaction writes their rows meanwhile.
    locked = shards.update().where(*stale_now).values(counted=True)
    stale = sorted(db.scalars(locked.returning(shards.c.shard)))
    for numbers in in_chunks(stale, MAX_LISTED):
        counts = _counts(db, batch, [number for number in numbers if number != LEFT])
        if LEFT in numbers:
            counts[LEFT] = SUPERSEDED.summed(db, rows.c.batch == batch, rows.c.position.is_(None))
        db.execute(_STORE, [_stored(batch, number, counts.get(number, {})) for number in numbers])


_PRICES = ("prompt_quotient", "completion_quotient", "least_prompt_tokens", "most_completion_tokens", "rise")
_COUNTED = ("counted", *SUMMED, "kinds", *_PRICES)
_STORE = (
    shards.update()
    .where(shards.c.batch == sa.bindparam("of_batch"), shards.c.shard == sa.bindparam("number"))
    .values({name: sa.bindparam(name) for name in _COUNTED})
)


def _stored(batch: str, number: int, counts: dict[str, Any]) -> dict[str, Any]:
    # Sums beyond 63 bits, of receipts of an older version, cannot be stored: such a shard is always read.
    fits = all(abs(counts.get(name) or 0) < _MAX_STORED for name in SUMMED)
    values = {name: counts.get(name) if fits else None for name in _COUNTED}
    return {**values, "counted": fits, "of_batch": batch, "number": number}


def _counts(db: sa.Connection, batch: str, numbers: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Return the counts of some shards from their rows."""
    if not numbers:
        return {}
    which = rows_of(batch, numbers)
    found = db.execute(sa.select(_SHARD, *CURRENT.halves).where(*which).group_by(_SHARD))
    counts: dict[int, dict[str, Any]] = {number: dict(CURRENT.joined(values)) for number, *values in found}
    if any(each["settled"] or each["failed"] for each in counts.values()):
        for number, kinds in kinds_by_shard(db, which).items():
            counts[number]["kinds"] = json.dumps(kinds)
    if any(each["billed_micro_usd"] for each in counts.values()):
        for number, *prices in db.execute(_prices_by_shard(which)):
            counts[number] |= zip(_PRICES, prices, strict=True)
    return counts


Kinds = list[tuple[str | None, str | None, int]]


def kinds_by_shard(db: sa.Connection, which: Iterable[Condition]) -> dict[int, Kinds]:
    """Return the numbers of rows by error and flag, without rows that have neither, by shard."""
    error = sa.case((rows.c.state == "failed", rows.c.error))
    query = sa.select(_SHARD, error, rows.c.flag, sa.func.count()).where(
        *which, sa.or_(error.is_not(None), rows.c.flag.is_not(None))
    )
    found: dict[int, Kinds] = {}
    for number, *kind in db.execute(query.group_by(_SHARD, error, rows.c.flag)):
        found.setdefault(number, []).append((kind[0], kind[1], kind[2]))
    return found


def _prices_by_shard(which: Iterable[Condition]) -> sa.Select[Any]:
    lowest = [
        sa.func.min(each).over(partition_by=rows.c.position // SHARD_ROWS).label(name)
        for each, name in ((prompt_quotient, "prompt"), (completion_quotient, "completion"))
    ]
    columns = (rows.c.billed_micro_usd, rows.c.prompt_tokens, rows.c.completion_tokens, rounding.label("rounding"))
    one = sa.select(_SHARD, *columns, *lowest).where(*which, priced).subquery("one").c
    bound = one.prompt * one.prompt_tokens + one.completion * one.completion_tokens + one.rounding
    return sa.select(
        one.shard,
        sa.func.min(one.prompt),
        sa.func.min(one.completion),
        sa.func.min(one.prompt_tokens),
        sa.func.max(one.completion_tokens),
        sa.func.max(sa.cast(one.billed_micro_usd, sa.Float) / bound),
    ).group_by(one.shard)
