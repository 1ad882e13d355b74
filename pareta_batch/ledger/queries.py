"""Queries that tally and sample a batch's rows: counts by state, error and flag, sums, and prices."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from math import inf, nextafter
from typing import Any

import sqlalchemy as sa

from pareta_batch.ledger.outcomes import Tally
from pareta_batch.ledger.schema import SUMMED, rows, shards
from pareta_batch.ledger.selection import ALL_UNSETTLED, RowSelection, current
from pareta_batch.ledger.shards import SHARD_ROWS, Condition, Uncounted, kinds_by_shard
from pareta_batch.ledger.sums import (
    CURRENT,
    STORED,
    SUPERSEDED,
    Sums,
    completion_quotient,
    paid,
    plus,
    priced,
    prompt_quotient,
    rounding,
)
from pareta_batch.money import NO_PRICES, Answered, Prices

MARGIN = 1e-6
"""Relative distance from a bound below which receipts are read again; higher reads more shards."""

Conditions = tuple[Condition, ...]


def tally_of(db: sa.Connection, batch: str) -> Tally:
    """Return the counts and the sums of receipts of the batch's current rows."""
    uncounted = Uncounted.of(db, batch)
    sums = sums_of(db, uncounted)
    errors: Counter[str] = Counter()
    flagged: Counter[str] = Counter()
    for error, flag, count in _kinds(db, uncounted):
        if error is not None:
            errors[error] += count
        if flag is not None:
            flagged[flag] += count
    return Tally(errors=dict(errors), flagged=dict(flagged), prices=prices_of(db, batch, uncounted), **_of_tally(sums))


def sums_of(db: sa.Connection, uncounted: Uncounted) -> Sums:
    """Return all counts and sums of a batch: those of its shards, and of the rows of shards that are not counted."""
    sums: Sums = dict.fromkeys(SUMMED)
    if stored := uncounted.stored():
        sums = plus(sums, STORED.summed(db, *stored))
    if live := uncounted.rows():
        sums = plus(sums, CURRENT.summed(db, *live))
    if uncounted.left:
        sums = plus(sums, SUPERSEDED.summed(db, rows.c.batch == uncounted.batch, rows.c.position.is_(None)))
    return sums


def _kinds(db: sa.Connection, uncounted: Uncounted) -> Iterator[tuple[str | None, str | None, int]]:
    if stored := uncounted.stored():
        for text in db.scalars(sa.select(shards.c.kinds).where(*stored, shards.c.kinds.is_not(None))):
            yield from json.loads(text)
    if live := uncounted.rows():
        for kinds in kinds_by_shard(db, live).values():
            yield from kinds


def _of_tally(sums: Sums) -> dict[str, Any]:  # the fields of a tally
    billed = {"billed_micro_usd": sums["billed_micro_usd"]} if "billed_micro_usd" in sums else {}
    return {name: value or 0 for name, value in sums.items() if name != "to_send"} | billed


def missing_by_shard(db: sa.Connection, batch: str, shard_size: int, wanted: RowSelection) -> dict[int, int]:
    """Return the number of rows to send by shard number, without empty shards."""
    uncounted = Uncounted.of(db, batch)
    has_some = shards.c.to_send if wanted == ALL_UNSETTLED else shards.c.failed
    stored = uncounted.stored()
    found = db.execute(sa.select(shards.c.shard, has_some).where(*stored, has_some > 0)).all() if stored else ()
    missing: Counter[int] = Counter()
    if wanted == ALL_UNSETTLED and shard_size % SHARD_ROWS == 0:
        for number, count in found:
            missing[number * SHARD_ROWS // shard_size] += count
        found = ()
    if live := uncounted.rows(number for number, _ in found):
        shard = (rows.c.position // shard_size).label("shard")
        query = sa.select(shard, sa.func.count()).where(*live, wanted.condition())
        for number, count in db.execute(query.group_by(shard)):
            missing[number] += count
    return dict(sorted(missing.items()))


def tally_between(db: sa.Connection, batch: str, prices: Prices, start: datetime, end: datetime) -> Tally:
    """Return the sums of the batch's rows that last changed from `start` to before `end`; only settled rows count."""
    of_batch = rows.c.batch == batch, rows.c.updated_at >= start, rows.c.updated_at < end
    is_current = rows.c.position.is_not(None)
    sums = CURRENT.summed(db, *of_batch, is_current) | SUPERSEDED.summed(db, *of_batch, sa.not_(is_current))
    return Tally(errors={}, flagged={}, prices=prices, **_of_tally(sums))


MAX_SAMPLED_ROWS = 2_000
"""Answered rows in the sample of a forecast; higher gives a narrower interval and a slower quote."""


@dataclass(frozen=True)
class Sample:
    """The answers with a receipt: count, mean and variance of the cost (micro-USD), mean latency (milliseconds).

    `answered`: up to `MAX_SAMPLED_ROWS` of them, ordered by fingerprint. `to_send`: number of rows by prompt bytes.
    """

    answers: int
    mean_micro_usd: float
    variance: float
    latency_ms: float
    answered: tuple[Answered, ...] = ()
    to_send: Mapping[int, int] = field(default_factory=dict)


NOTHING_BILLED = Sample(0, 0.0, 0.0, 0.0)


def sample_of(db: sa.Connection, batch: str, wanted: RowSelection) -> Sample:
    """Return the sample of the batch's billed answers, and the sizes of the rows to send."""
    billed = sa.cast(rows.c.billed_micro_usd, sa.Float)
    query = sa.select(
        sa.func.count(), sa.func.avg(billed), sa.func.avg(billed * billed), sa.func.avg(rows.c.latency_ms)
    ).where(*current(batch), paid, rows.c.billed_micro_usd > 0)
    count, mean, of_squares, latency = db.execute(query).one()
    if not count:
        return NOTHING_BILLED
    variance = max(0.0, of_squares - mean**2)
    return Sample(count, mean, variance, latency or 0.0, _answered(db, batch), sizes_to_send(db, batch, wanted))


def sizes_to_send(db: sa.Connection, batch: str, wanted: RowSelection) -> dict[int, int]:
    """Return the number of rows to send by the bytes of their prompts."""
    missing = sa.select(rows.c.prompt_bytes, sa.func.count()).where(*current(batch), wanted.condition())
    return {row[0]: row[1] for row in db.execute(missing.group_by(rows.c.prompt_bytes))}


def _answered(db: sa.Connection, batch: str) -> tuple[Answered, ...]:
    columns = (rows.c.prompt_bytes, rows.c.billed_micro_usd, rows.c.prompt_tokens, rows.c.completion_tokens)
    query = sa.select(*columns).where(*current(batch), paid, rows.c.billed_micro_usd > 0)
    drawn = db.execute(query.order_by(rows.c.fingerprint).limit(MAX_SAMPLED_ROWS))
    return tuple(Answered(size, billed, prompt or 0, answer or 0) for size, billed, prompt, answer in drawn)


def prices_of(db: sa.Connection, batch: str, uncounted: Uncounted | None = None) -> Prices:
    """Return the price bounds from the receipts; a receipt above the lowest quotients raises them.

    `rise` of a shard is the highest ratio of a receipt to the bound from the lowest quotients of the shard. With the
    lowest quotients of the batch, a ratio grows at most as a quotient falls: other shards have no receipt above.
    """
    uncounted = uncounted or Uncounted.of(db, batch)
    stored, live = uncounted.stored(), uncounted.rows()
    prompt, completion, least, most = _lowest(db, stored, live)
    if prompt is None:
        return NO_PRICES
    priced_at = Prices(_rounded_up(prompt), _rounded_up(completion), least, most)
    falls = (shards.c.prompt_quotient / prompt, shards.c.completion_quotient / completion)
    exceeds = sa.or_(*(shards.c.rise * fall > 1 - MARGIN for fall in falls))
    suspects = list(db.scalars(sa.select(shards.c.shard).where(*stored, exceeds))) if stored else []
    if (of_batch := uncounted.rows(suspects)) is None:
        return priced_at
    billed = sa.cast(rows.c.billed_micro_usd, sa.Float)
    bound = prompt * rows.c.prompt_tokens + completion * rows.c.completion_tokens + rounding
    quotients = (billed / bound, prompt_quotient, completion_quotient)
    above = sa.select(*map(sa.func.max, quotients)).where(*of_batch, priced, billed > bound)
    rise, *raised = db.execute(above).one()
    return priced_at if rise is None else priced_at.raised(*map(_rounded_up, (rise, *raised)))


def _lowest(db: sa.Connection, stored: Conditions | None, live: Conditions | None) -> list[Any]:
    """Return the lowest quotients and prompt tokens, and the most completion tokens; None without a receipt."""
    of_shards = (shards.c.prompt_quotient, shards.c.completion_quotient, shards.c.least_prompt_tokens)
    of_rows = (prompt_quotient, completion_quotient, rows.c.prompt_tokens)
    found: list[Any] = []
    if stored:
        found.append(_extremes(db, of_shards, shards.c.most_completion_tokens, *stored))
    if live:
        found.append(_extremes(db, of_rows, rows.c.completion_tokens, *live, priced))
    by_column = [[value for value in column if value is not None] for column in zip(*found, strict=True)]
    return [best(column) if column else None for best, column in zip((min, min, min, max), by_column, strict=True)]


def _extremes(
    db: sa.Connection, least: Iterable[sa.ColumnElement[Any]], most: sa.ColumnElement[Any], *which: Condition
) -> Any:  # a row of four values
    return db.execute(sa.select(*map(sa.func.min, least), sa.func.max(most)).where(*which)).one()


def _rounded_up(quotient: float) -> Fraction:
    # The database rounds to the nearest double: the next double above is never below the exact quotient.
    return Fraction(nextafter(quotient, inf))
