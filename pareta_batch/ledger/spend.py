"""Spent money by owner and time: receipts, and apart from them what was replayed, resent or is in doubt."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import reduce

import sqlalchemy as sa

from pareta_batch.ledger.ledger import Ledger
from pareta_batch.ledger.owners import BATCH, ENDPOINT, NO_OWNER, Owner, owners_by_account
from pareta_batch.ledger.queries import prices_of, tally_between
from pareta_batch.ledger.schema import purchases, rows
from pareta_batch.money import Prices

PURCHASES = "(eval runs and smoke calls)"
"""Model of purchases: one bill is for several models."""

Key = tuple[str | None, ...]
Window = tuple[datetime, datetime]


@dataclass(frozen=True)
class Amounts:
    """Amounts in micro-USD; an upper bound is None while no price is known.

    `answers`: answered rows and billed purchases. `replayed`: answers whose first receipt is lost, in `answers` too.
    `resent`: answers to a second request. `in_doubt`: requests and purchases without a receipt.
    """

    answers: int = 0
    billed_micro_usd: int = 0
    resent: int = 0
    replayed: int = 0
    replayed_at_most_micro_usd: int | None = 0
    in_doubt: int = 0
    in_doubt_at_most_micro_usd: int | None = 0

    def __add__(self, other: "Amounts") -> "Amounts":
        return Amounts(
            self.answers + other.answers,
            self.billed_micro_usd + other.billed_micro_usd,
            self.resent + other.resent,
            self.replayed + other.replayed,
            _sum(self.replayed_at_most_micro_usd, other.replayed_at_most_micro_usd),
            self.in_doubt + other.in_doubt,
            _sum(self.in_doubt_at_most_micro_usd, other.in_doubt_at_most_micro_usd),
        )


def _sum(here: int | None, there: int | None) -> int | None:
    return None if here is None or there is None else here + there


NOTHING = Amounts()


@dataclass(frozen=True)
class SpendQuery:
    """Groups of the money (team, project, batch, model), per month or not, from `start` (UTC) to before `end`."""

    by: Sequence[str] = ("team",)
    monthly: bool = False
    start: datetime = datetime.min
    end: datetime = datetime.max


def spend(ledger: Ledger, query: SpendQuery) -> dict[Key, Amounts]:
    """Return the amounts by key, in order: the values of `query.by`, and the month (`2026-11`) if `monthly`.

    A row counts at the time of its last change, a purchase at the time of its order, with the owner of that time.
    """
    added: dict[Key, list[Amounts]] = defaultdict(list)
    with ledger.transaction() as db:
        for key, amounts in _entries(db, query):
            if amounts != NOTHING:
                added[key].append(amounts)
    return {
        key: reduce(Amounts.__add__, added[key]) for key in sorted(added, key=lambda key: [each or "" for each in key])
    }


def _entries(db: sa.Connection, query: SpendQuery) -> Iterator[tuple[Key, Amounts]]:
    owners = owners_by_account(db)
    times = sa.func.min(rows.c.updated_at), sa.func.max(rows.c.updated_at)
    for batch, first, last in db.execute(sa.select(rows.c.batch, *times).group_by(rows.c.batch)).all():
        prices = prices_of(db, batch)
        for owner, (start, end) in _windows(owners.get(BATCH + batch, []), query, first, last):
            payer = owner
            if not owner.is_tagged:
                of_endpoint = owners.get(f"{ENDPOINT}{owner.model}", [NO_OWNER])[-1]
                payer = replace(owner, team=of_endpoint.team, project=of_endpoint.project)
            yield _key(query, payer, batch, owner.model, start), _of_rows(db, batch, prices, start, end)
    columns = purchases.c.account, purchases.c.created_at, purchases.c.billed_micro_usd, purchases.c.bound_micro_usd
    in_time = purchases.c.created_at >= query.start, purchases.c.created_at < query.end
    for account, at, billed, bound in db.execute(sa.select(*columns).where(*in_time)):
        owner = next((each for each in reversed(owners.get(account, [])) if each.since <= at), NO_OWNER)
        yield _key(query, owner, account, PURCHASES, at), _of_purchase(billed, bound)


def _windows(
    owners: Iterable[Owner], query: SpendQuery, first: datetime, last: datetime
) -> Iterator[tuple[Owner, Window]]:
    """Yield the spans of time between the first and the last row with one owner, and in one month if `monthly`."""
    known = [NO_OWNER, *owners]
    for owner, following in zip(known, [*known[1:], None], strict=True):
        start = max(owner.since, query.start, first)
        end = query.end if following is None else min(query.end, following.since)
        while start < end and start <= last:
            until = min(end, _next_month(start)) if query.monthly else end
            yield owner, (start, until)
            start = until


def _next_month(at: datetime) -> datetime:
    return datetime(at.year + at.month // 12, at.month % 12 + 1, 1)


def _key(query: SpendQuery, owner: Owner, batch: str, model: str | None, at: datetime) -> Key:
    values = {"team": owner.team, "project": owner.project, "batch": batch, "model": model}
    return (*(values[each] for each in query.by), *([f"{at:%Y-%m}"] if query.monthly else []))


def _of_rows(db: sa.Connection, batch: str, prices: Prices, start: datetime, end: datetime) -> Amounts:
    tally = tally_between(db, batch, prices, start, end)
    in_doubt = tally.doubtful
    return Amounts(
        answers=tally.settled,
        billed_micro_usd=(tally.billed_micro_usd or 0) + tally.superseded_micro_usd,
        resent=tally.resent,
        replayed=tally.replayed,
        replayed_at_most_micro_usd=tally.replayed_at_most_micro_usd,
        in_doubt=in_doubt,
        in_doubt_at_most_micro_usd=prices.of_requests(in_doubt, tally.doubtful_bytes, None) if in_doubt else 0,
    )


def _of_purchase(billed: int | None, bound: int | None) -> Amounts:
    if billed is not None:
        return Amounts(answers=1, billed_micro_usd=billed)
    return Amounts(in_doubt=1, in_doubt_at_most_micro_usd=bound or None)
