"""Quotes kept in the ledger beside what was paid for the same work: how often the quoted interval held."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import sqlalchemy as sa

from pareta_batch.ledger.ledger import Ledger
from pareta_batch.ledger.outcomes import Tally
from pareta_batch.ledger.schema import quotes

Kind = Literal["batch", "comparison"]

LATEST = 12
"""Quotes that a hit rate counts. Raised: a steadier rate that follows changes of the service more slowly."""


@dataclass(frozen=True)
class Quoted:
    """A quoted interval for a piece of work; money in micro-USD.

    `subject` identifies what was quoted (empty: the name does). `settled_before` and `billed_before` are what a batch
    had when it was quoted.
    """

    kind: Kind
    name: str
    basis: str
    rows: int
    low: int
    likely: int
    high: int
    subject: str = ""
    settled_before: int = 0
    billed_before: int = 0


@dataclass(frozen=True)
class HitRate:
    """How many of the latest checked quotes held."""

    held: int = 0
    checked: int = 0

    def __str__(self) -> str:
        return f"of the last {self.checked} quotes {self.held} held" if self.checked else ""


def keep_quote(ledger: Ledger, quoted: Quoted) -> None:
    """Write a quote in place of an earlier one of the same work that was not checked yet."""
    mine = (quotes.c.kind == quoted.kind, quotes.c.name == quoted.name)
    row: dict[str, Any] = {
        "kind": quoted.kind,
        "name": quoted.name,
        "subject": quoted.subject,
        "basis": quoted.basis,
        "rows": quoted.rows,
        "low_micro_usd": quoted.low,
        "likely_micro_usd": quoted.likely,
        "high_micro_usd": quoted.high,
        "settled_before": quoted.settled_before,
        "billed_before_micro_usd": quoted.billed_before,
        "quoted_at": _now(),
    }
    with ledger.transaction() as db:
        db.execute(quotes.delete().where(*mine, quotes.c.paid_micro_usd.is_(None)))
        number = db.scalar(sa.select(sa.func.coalesce(sa.func.max(quotes.c.number), 0)).where(*mine)) or 0
        db.execute(quotes.insert().values(row | {"number": number + 1}))


def check_batch_quote(ledger: Ledger, batch: str, tally: Tally) -> None:
    """Write what a batch's open quote turned out to cost, once each row that it was for is answered."""
    with ledger.transaction() as db:
        found = db.execute(sa.select(quotes).where(*_open("batch", batch))).mappings().first()
        if found is None or tally.settled != found["settled_before"] + found["rows"]:
            return
        billed = (tally.billed_micro_usd or 0) + tally.superseded_micro_usd
        _check(db, "batch", batch, billed - found["billed_before_micro_usd"])


def check_comparison_quote(ledger: Ledger, name: str, subject: str, paid_micro_usd: int) -> None:
    """Write what a comparison's open quote turned out to cost; a quote for other rows or models stays open."""
    with ledger.transaction() as db:
        found = db.execute(sa.select(quotes.c.subject).where(*_open("comparison", name))).first()
        if found is not None and found.subject == subject:
            _check(db, "comparison", name, paid_micro_usd)


def hit_rate(ledger: Ledger, kind: Kind, basis: str) -> HitRate:
    """Count how many of the latest checked quotes with this basis held what was then paid."""
    held = quotes.c.paid_micro_usd.between(quotes.c.low_micro_usd, quotes.c.high_micro_usd)
    checked = (quotes.c.kind == kind, quotes.c.basis == basis, quotes.c.paid_micro_usd.is_not(None))
    query = sa.select(sa.case((held, 1), else_=0)).where(*checked).order_by(quotes.c.paid_at.desc()).limit(LATEST)
    with ledger.transaction() as db:
        found = list(db.scalars(query))
    return HitRate(sum(found), len(found))


def _open(kind: Kind, name: str) -> tuple[sa.ColumnElement[bool], ...]:
    return quotes.c.kind == kind, quotes.c.name == name, quotes.c.paid_micro_usd.is_(None)


def _check(db: sa.Connection, kind: Kind, name: str, paid_micro_usd: int) -> None:
    db.execute(quotes.update().where(*_open(kind, name)).values(paid_micro_usd=paid_micro_usd, paid_at=_now()))


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
