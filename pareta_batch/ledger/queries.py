"""Queries that tally and sample a batch's rows: counts by state, error and flag, sums, and prices."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from math import inf, nextafter
from typing import Any

import sqlalchemy as sa

from pareta_batch.ledger.outcomes import Tally
from pareta_batch.ledger.schema import rows
from pareta_batch.ledger.selection import ALL_UNSETTLED, current
from pareta_batch.ledger.storable import MAX_VALUE
from pareta_batch.money import NO_PRICES, Answered, Prices

ROUNDED_UP = 2
"""Micro-USD that rounding up may add to one receipt and to its bound."""
MAX_TURNS = 6
"""Turns of a row, each of whose receipts is rounded up."""

_paid = rows.c.state == "settled"
# An older version wrote unchecked values of the service: texts and absurd numbers are no receipts.
# The receipt of a lost turn is missing in the sum, and its tokens are not: the quotient would be too low.
_priced = sa.and_(
    sa.or_(_paid, rows.c.turns.is_not(None)),
    rows.c.lost_receipts == 0,
    *(each.between(1, MAX_VALUE) for each in (rows.c.billed_micro_usd, rows.c.prompt_tokens, rows.c.completion_tokens)),
)
_unknown = sa.and_(sa.not_(_paid), sa.or_(rows.c.in_doubt, rows.c.lost_receipts > 0))
_replayed = sa.and_(_paid, rows.c.resent, sa.or_(rows.c.billed_micro_usd == 0, rows.c.lost_receipts > 0))
SENT_BYTES = rows.c.prompt_bytes + rows.c.turn_bytes
_unbilled = sa.and_(_paid, rows.c.billed_micro_usd.is_(None))
_unanswered = sa.and_(sa.not_(_paid), sa.not_(_unknown), rows.c.billed_micro_usd > 0)


def _where(condition: sa.ColumnElement[bool], column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    return sa.case((condition, column))


def tally_of(db: sa.Connection, batch: str) -> Tally:
    """Return the counts and the sums of receipts of the batch's current rows."""
    of_batch = rows.c.batch == batch
    is_current = rows.c.position.is_not(None)
    kinds = (rows.c.state, sa.case((rows.c.state == "failed", rows.c.error)), rows.c.flag)
    counted = sa.select(*kinds, sa.func.count()).where(of_batch, is_current).group_by(*kinds)
    states: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    flagged: Counter[str] = Counter()
    for state, error, flag, count in db.execute(counted):
        states[state] += count
        if error is not None:
            errors[error] += count
        if flag is not None:
            flagged[flag] += count
    sums = _added(db, _SUMS, of_batch, is_current) | _added(db, _SUPERSEDED, of_batch, sa.not_(is_current))
    return Tally(
        settled=states["settled"],
        failed=states["failed"],
        pending=states["pending"],
        errors=dict(errors),
        flagged=dict(flagged),
        billed_micro_usd=sums.pop("billed_micro_usd"),
        prices=prices_of(db, batch),
        **{name: value or 0 for name, value in sums.items()},
    )


def tally_between(db: sa.Connection, batch: str, prices: Prices, start: datetime, end: datetime) -> Tally:
    """Return the sums of the batch's rows that last changed from `start` to before `end`; only settled rows count."""
    of_batch = rows.c.batch == batch, rows.c.updated_at >= start, rows.c.updated_at < end
    is_current = rows.c.position.is_not(None)
    counted = {"settled": _where(_paid, _ONE), **_SUMS}
    sums = _added(db, counted, *of_batch, is_current) | _added(db, _SUPERSEDED, *of_batch, sa.not_(is_current))
    return Tally(errors={}, flagged={}, prices=prices, **{name: value or 0 for name, value in sums.items()})


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


def sample_of(db: sa.Connection, batch: str) -> Sample:
    """Return the sample of the batch's billed answers."""
    billed = sa.cast(rows.c.billed_micro_usd, sa.Float)
    query = sa.select(
        sa.func.count(), sa.func.avg(billed), sa.func.avg(billed * billed), sa.func.avg(rows.c.latency_ms)
    ).where(*current(batch), _paid, rows.c.billed_micro_usd > 0)
    count, mean, of_squares, latency = db.execute(query).one()
    if not count:
        return NOTHING_BILLED
    missing = sa.select(rows.c.prompt_bytes, sa.func.count()).where(*current(batch), ALL_UNSETTLED.condition())
    to_send = {row[0]: row[1] for row in db.execute(missing.group_by(rows.c.prompt_bytes))}
    variance = max(0.0, of_squares - mean**2)
    return Sample(count, mean, variance, latency or 0.0, _answered(db, batch), to_send)


def _answered(db: sa.Connection, batch: str) -> tuple[Answered, ...]:
    columns = (rows.c.prompt_bytes, rows.c.billed_micro_usd, rows.c.prompt_tokens, rows.c.completion_tokens)
    query = sa.select(*columns).where(*current(batch), _paid, rows.c.billed_micro_usd > 0)
    drawn = db.execute(query.order_by(rows.c.fingerprint).limit(MAX_SAMPLED_ROWS))
    return tuple(Answered(size, billed, prompt or 0, answer or 0) for size, billed, prompt, answer in drawn)


_HALF = 2**32
_DIVISOR = sa.literal(_HALF, sa.BigInteger)  # PostgreSQL would infer a 32-bit integer
_ONE = sa.literal(1)
_SUMS: dict[str, sa.ColumnElement[Any]] = {
    "billed_micro_usd": rows.c.billed_micro_usd,
    "prompt_tokens": _where(_paid, rows.c.prompt_tokens),
    "completion_tokens": _where(_paid, rows.c.completion_tokens),
    "unknown": _where(_unknown, _ONE),
    "unknown_bytes": _where(_unknown, SENT_BYTES),
    "billed_unanswered": _where(_unanswered, _ONE),
    "unanswered_micro_usd": _where(sa.not_(_paid), rows.c.billed_micro_usd),
    "resent": _where(sa.and_(_paid, rows.c.resent), _ONE),
    "replayed": _where(_replayed, _ONE),
    "replayed_prompt_tokens": _where(_replayed, rows.c.prompt_tokens),
    "replayed_completion_tokens": _where(_replayed, rows.c.completion_tokens),
    "asked_again": _where(rows.c.turns.is_not(None), _ONE),
    "asked_again_micro_usd": rows.c.asked_again_micro_usd,
    "lost_turns": _where(sa.not_(_paid), rows.c.lost_receipts),
    "lost_turn_bytes": _where(sa.not_(_paid), rows.c.lost_receipts * SENT_BYTES),
    "copies": _where(rows.c.copy_batch == rows.c.batch, _ONE),
    "open_copies": _where(sa.and_(rows.c.state == "pending", rows.c.copy_of.is_not(None)), _ONE),
    "copied": _where(sa.and_(_paid, rows.c.copy_of.is_not(None)), _ONE),
    "reused": _where(rows.c.copy_batch != rows.c.batch, _ONE),
    "saved_micro_usd": _where(_paid, rows.c.saved_micro_usd),
    "unbilled": _where(_unbilled, _ONE),
    "unbilled_bytes": _where(_unbilled, SENT_BYTES),
}
LOST = sa.or_(_unknown, _replayed, _unbilled)
_SUPERSEDED: dict[str, sa.ColumnElement[Any]] = {
    "superseded_micro_usd": rows.c.billed_micro_usd,
    "superseded_unknown": _where(LOST, 1 + rows.c.lost_receipts),
    "superseded_bytes": _where(LOST, (1 + rows.c.lost_receipts) * SENT_BYTES),
}


def _added(
    db: sa.Connection, columns: dict[str, sa.ColumnElement[Any]], *which: sa.ColumnElement[bool]
) -> dict[str, int | None]:
    """Return the sums of columns over some rows; None for a column without a value."""
    # In halves: SQLite raises an error for a sum beyond 63 bits, which ten receipts of an older ledger can exceed.
    halves = [
        half for each in columns.values() for half in (sa.func.sum(each // _DIVISOR), sa.func.sum(each % _DIVISOR))
    ]
    sums = iter(db.execute(sa.select(*halves).where(*which)).one())
    # PostgreSQL returns sums of big integers as decimals.
    return {
        name: None if high is None or low is None else int(high) * _HALF + int(low)
        for name, high, low in zip(columns, sums, sums, strict=True)
    }


def prices_of(db: sa.Connection, batch: str) -> Prices:
    """Return the price bounds from the receipts; a receipt above the lowest quotients raises them."""
    billed = sa.cast(rows.c.billed_micro_usd, sa.Float)
    quotients = billed / rows.c.prompt_tokens, billed / rows.c.completion_tokens
    of_batch = (*current(batch), _priced)
    query = sa.select(
        *map(sa.func.min, quotients), sa.func.min(rows.c.prompt_tokens), sa.func.max(rows.c.completion_tokens)
    )
    prompt, completion, least, most = db.execute(query.where(*of_batch)).one()
    if prompt is None:
        return NO_PRICES
    priced = Prices(_rounded_up(prompt), _rounded_up(completion), least, most)
    bound = prompt * rows.c.prompt_tokens + completion * rows.c.completion_tokens + ROUNDED_UP
    bound += sa.case((rows.c.turns.is_not(None), MAX_TURNS), else_=0)
    above = sa.select(*map(sa.func.max, (billed / bound, *quotients))).where(*of_batch, billed > bound)
    rise, *raised = db.execute(above).one()
    return priced if rise is None else priced.raised(*map(_rounded_up, (rise, *raised)))


def _rounded_up(quotient: float) -> Fraction:
    # The database rounds to the nearest double: the next double above is never below the exact quotient.
    return Fraction(nextafter(quotient, inf))
