"""Purchases other than batch rows, kept in the ledger by account: reserved before and billed after."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from math import ceil

import sqlalchemy as sa

from pareta_batch.errors import BudgetReached, CostUnbounded
from pareta_batch.ledger.advisory_lock import lock_until_commit
from pareta_batch.ledger.database import insert_into
from pareta_batch.ledger.ledger import Ledger
from pareta_batch.ledger.owners import record_owner
from pareta_batch.ledger.schema import purchases
from pareta_batch.money import Account, budget_dollars, dollars, micro_usd
from pareta_client import EvalRun

BOUND_MULTIPLE = 3
"""Upper bound of a cost, as a multiple of the listed cost, which is of other rows; higher fits fewer runs."""


@dataclass(frozen=True)
class Purchase:
    """A purchase: its key, its description, and its listed cost in micro-USD by model (None: not listed)."""

    key: str
    what: str
    listed: dict[str, float | None]

    @property
    def unlisted(self) -> list[str]:
        """The models without a listed cost."""
        return [model for model, cost in self.listed.items() if cost is None]

    @property
    def likely(self) -> float:
        """The sum of the listed costs, in micro-USD."""
        return sum(cost or 0.0 for cost in self.listed.values())


@dataclass(frozen=True)
class Spending:
    """Micro-USD spent by an account: its bills, and the bounds of unbilled purchases.

    `dearer`: descriptions of the bills that exceed their bound.
    """

    micro_usd: int
    dearer: Sequence[str] = ()

    def above(self, budget_usd: float | None) -> int | None:
        """Return the micro-USD above a budget; None without a budget."""
        return None if budget_usd is None else max(0, self.micro_usd - micro_usd(budget_usd))


@dataclass(frozen=True)
class Bill:
    """The micro-USD of a bill that are new in the ledger, and their account."""

    account: str
    micro_usd: int


def reserve_purchase(ledger: Ledger, account: Account, purchase: Purchase) -> None:
    """Reserve the upper bound of a purchase's cost; repeating it under the same key counts once.

    Raises CostUnbounded for a model without a listed cost, BudgetReached if the budget is too small. Without a
    ceiling, nothing is refused.
    """
    if account.budget_usd is not None and purchase.unlisted:
        raise CostUnbounded(purchase.what, purchase.unlisted)
    record_owner(ledger, account.name, None, account.tags)
    with ledger.transaction() as db:
        _one_at_a_time(db, account.name)
        # The write comes first: on SQLite only a write transaction excludes other writers.
        db.execute(insert_into(db, purchases).on_conflict_do_nothing(), _row(account, purchase))
        bound = _bound(db, purchase.likely)
        db.execute(purchases.update().where(purchases.c.key == purchase.key).values(bound_micro_usd=bound))
        others = _spent(db, account.name, purchases.c.key != purchase.key)
        if account.budget_usd is not None and others + bound > micro_usd(account.budget_usd):
            left = max(0, micro_usd(account.budget_usd) - others)
            raise BudgetReached(
                f"{purchase.what} may cost {dollars(bound)}, and {dollars(left)} of the budget of "
                f"{budget_dollars(account.budget_usd)} are left"
            )


def release_purchase(ledger: Ledger, key: str) -> None:
    """Delete a purchase that was certainly not made."""
    with ledger.transaction() as db:
        db.execute(purchases.delete().where(purchases.c.key == key, purchases.c.billed_micro_usd.is_(None)))


def mark_bought(ledger: Ledger, key: str, id_: str | None, billed_micro_usd: int | None = None) -> Bill | None:
    """Write the service's id of a purchase, and its bill if it is already known; return a new bill.

    Without a bill, one that another run has written stays.
    """
    bill = {} if billed_micro_usd is None else {"billed_micro_usd": billed_micro_usd}
    with ledger.transaction() as db:
        return _write(db, purchases.c.key == key, {"id": id_, **bill})


def write_bill(ledger: Ledger, run: EvalRun) -> Bill | None:
    """Write the bill of an eval run that has ended, and return it if it is new.

    Without a bill from the service, the bound of the purchase counts.
    """
    reported = run.run.total_cost_micro_usd
    if not run.is_terminal or reported is None or (not run.cost_micro_usd and run.status == "completed"):
        return None
    with ledger.transaction() as db:
        return _write(db, purchases.c.id == run.id, {"billed_micro_usd": run.cost_micro_usd})


def spending(ledger: Ledger, account: str) -> Spending:
    """Return the spending of an account."""
    dearer = sa.select(purchases.c.what, purchases.c.billed_micro_usd, purchases.c.bound_micro_usd).where(
        purchases.c.account == account, purchases.c.billed_micro_usd > purchases.c.bound_micro_usd
    )
    with ledger.transaction() as db:
        found = [
            f"{what} cost {dollars(paid)}, at most {dollars(bound)} was expected"
            for what, paid, bound in db.execute(dearer.order_by(purchases.c.created_at))
        ]
        return Spending(_spent(db, account), found)


def unsettled(ledger: Ledger, account: str) -> list[str]:
    """Return the ids of the purchases without a bill."""
    open_ = (purchases.c.account == account, purchases.c.billed_micro_usd.is_(None), purchases.c.id.is_not(None))
    with ledger.transaction() as db:
        return [str(id_) for id_ in db.scalars(sa.select(purchases.c.id).where(*open_))]


def bound_micro_usd(ledger: Ledger, likely: float) -> int:
    """Return the upper bound of a cost: `likely` times `BOUND_MULTIPLE` or the worst billed multiple."""
    with ledger.transaction() as db:
        return _bound(db, likely)


def shares(ceiling: int, batch_spent: int, bought: int, bounds: Sequence[int]) -> tuple[int, int]:
    """Split a budget into the ceilings of a batch and of its other purchases, and return both in micro-USD.

    `bounds`: upper bounds of the planned purchases. They are reserved first, in order, if they fit.
    """
    purchases_share = bought
    for bound in bounds:
        if purchases_share + bound + batch_spent <= ceiling:
            purchases_share += bound
    return ceiling - purchases_share, purchases_share


def _bound(db: sa.Connection, likely: float) -> int:
    multiple = sa.cast(purchases.c.billed_micro_usd, sa.Float) / purchases.c.listed_micro_usd
    worst = db.scalar(sa.select(sa.func.max(multiple)).where(purchases.c.listed_micro_usd > 0))
    return ceil(likely * max(BOUND_MULTIPLE, float(worst or 0)))


def _write(db: sa.Connection, which: sa.ColumnElement[bool], values: Mapping[str, str | int | None]) -> Bill | None:
    """Write values of a purchase; return its bill as far as it is new."""
    # The write comes first: it excludes other writers, so that one of two runs finds a new bill.
    db.execute(purchases.update().where(which).values(bound_micro_usd=purchases.c.bound_micro_usd))
    found = db.execute(sa.select(purchases.c.account, purchases.c.billed_micro_usd).where(which)).first()
    db.execute(purchases.update().where(which).values(values))
    billed = values.get("billed_micro_usd")
    if found is None or not isinstance(billed, int):
        return None
    return Bill(found.account, billed - (found.billed_micro_usd or 0))


def _row(account: Account, purchase: Purchase) -> dict[str, object]:
    return {
        "key": purchase.key,
        "account": account.name,
        "what": purchase.what,
        "listed_micro_usd": purchase.likely,
        "created_at": datetime.now(UTC).replace(tzinfo=None),
    }


def _spent(db: sa.Connection, account: str, *which: sa.ColumnElement[bool]) -> int:
    amount = sa.func.coalesce(purchases.c.billed_micro_usd, purchases.c.bound_micro_usd, 0)
    return int(db.scalar(sa.select(sa.func.sum(amount)).where(purchases.c.account == account, *which)) or 0)


def _one_at_a_time(db: sa.Connection, account: str) -> None:
    if db.dialect.name == "postgresql":
        number = int.from_bytes(sha256(f"pareta-account/{account}".encode()).digest()[:8], signed=True)
        lock_until_commit(db, number)
