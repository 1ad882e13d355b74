"""Quotes in the ledger with the paid cost of the same work, and the hit rate of the quoted intervals."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import sqlalchemy as sa

from pareta_batch.ledger.ledger import Ledger
from pareta_batch.ledger.outcomes import Tally
from pareta_batch.ledger.schema import quotes
from pareta_batch.money import CostRange

Kind = Literal["batch", "comparison"]

CHECKED_QUOTES = 12
"""Latest quotes in a hit rate; higher gives a steadier rate that follows changes of the service more slowly."""


@dataclass(frozen=True)
class Quoted:
    """A quoted cost range for a piece of work.

    `subject` identifies the quoted work; if it is empty, the name does. `settled_before` (rows) and `billed_before`
    (micro-USD) are the batch's totals at the time of the quote.
    """

    kind: Kind
    name: str
    basis: str
    rows: int
    cost: CostRange
    subject: str = ""
    settled_before: int = 0
    billed_before: int = 0


@dataclass(frozen=True)
class HitRate:
    """The number of latest checked quotes, and of those whose interval contained the paid cost."""

    held: int = 0
    checked: int = 0

    def __str__(self) -> str:
        return f"of the last {self.checked} quotes {self.held} held" if self.checked else ""


def keep_quote(ledger: Ledger, quoted: Quoted) -> None:
    """Write a quote; it replaces an unchecked earlier quote of the same work."""
    same_work = (quotes.c.kind == quoted.kind, quotes.c.name == quoted.name)
    row: dict[str, Any] = {
        "kind": quoted.kind,
        "name": quoted.name,
        "subject": quoted.subject,
        "basis": quoted.basis,
        "rows": quoted.rows,
        "low_micro_usd": quoted.cost.low,
        "likely_micro_usd": quoted.cost.likely,
        "high_micro_usd": quoted.cost.high,
        "settled_before": quoted.settled_before,
        "billed_before_micro_usd": quoted.billed_before,
        "quoted_at": _now(),
    }
    with ledger.transaction() as db:
        db.execute(quotes.delete().where(*same_work, quotes.c.paid_micro_usd.is_(None)))
        number = db.scalar(sa.select(sa.func.coalesce(sa.func.max(quotes.c.number), 0)).where(*same_work)) or 0
        db.execute(quotes.insert().values(row | {"number": number + 1}))


def check_batch_quote(ledger: Ledger, batch: str, tally: Tally) -> None:
    """Write the paid cost of a batch's open quote once every quoted row is answered."""
    with ledger.transaction() as db:
        found = db.execute(sa.select(quotes).where(*_open("batch", batch))).mappings().first()
        if found is None or tally.answered != found["settled_before"] + found["rows"]:
            return
        billed = (tally.billed_micro_usd or 0) + tally.superseded_micro_usd
        _check(db, "batch", batch, billed - found["billed_before_micro_usd"])


def check_comparison_quote(ledger: Ledger, name: str, subject: str, paid_micro_usd: int) -> None:
    """Write the paid cost of a comparison's open quote; a quote for other rows or models stays open."""
    with ledger.transaction() as db:
        found = db.execute(sa.select(quotes.c.subject).where(*_open("comparison", name))).first()
        if found is not None and found.subject == subject:
            _check(db, "comparison", name, paid_micro_usd)


def hit_rate(ledger: Ledger, kind: Kind, basis: str) -> HitRate:
    """Return the hit rate of the latest checked quotes with this basis."""
    held = quotes.c.paid_micro_usd.between(quotes.c.low_micro_usd, quotes.c.high_micro_usd)
    checked = (quotes.c.kind == kind, quotes.c.basis == basis, quotes.c.paid_micro_usd.is_not(None))
    query = (
        sa.select(sa.case((held, 1), else_=0)).where(*checked).order_by(quotes.c.paid_at.desc()).limit(CHECKED_QUOTES)
    )
    with ledger.transaction() as db:
        found = list(db.scalars(query.limit(CHECKED_QUOTES)))
    return HitRate(sum(found), len(found))


def _open(kind: Kind, name: str) -> tuple[sa.ColumnElement[bool], ...]:
    return quotes.c.kind == kind, quotes.c.name == name, quotes.c.paid_micro_usd.is_(None)


def _check(db: sa.Connection, kind: Kind, name: str, paid_micro_usd: int) -> None:
    db.execute(quotes.update().where(*_open(kind, name)).values(paid_micro_usd=paid_micro_usd, paid_at=_now()))


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
