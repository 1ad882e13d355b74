"""The ledger's rows of one member: it joins, takes shards, and exchanges its counts for its share, once an interval."""

import asyncio
import logging
from dataclasses import asdict, dataclass

import sqlalchemy as sa

from pareta_batch.errors import BatchStopped, LedgerError, Orphaned
from pareta_batch.ledger import Ledger, Membership, member_runs, member_shards, members, stops
from pareta_batch.members.allotments import Demand
from pareta_batch.members.counts import Counts
from pareta_batch.members.funds import prices_from, prices_json
from pareta_batch.members.run_rows import free_parts, write_stop
from pareta_batch.money import NO_PRICES, Prices

log = logging.getLogger(__name__)

# Built once: building a statement takes longer than executing it.
_NEWS = (
    members.update()
    .where(
        members.c.batch == sa.bindparam("of_batch"),
        members.c.token == sa.bindparam("of_token"),
        sa.not_(members.c.ended),
    )
    .values(
        counts=sa.bindparam("counts"),
        # The share that this returns is in use from now on: the parent may lower it before the next exchange.
        confirmed=sa.func.greatest(sa.bindparam("most", type_=sa.Integer), members.c.share),
        demand=sa.bindparam("demand"),
        prices=sa.bindparam("prices"),
        granted_micro_usd=members.c.granted_micro_usd - sa.bindparam("returned", type_=sa.BigInteger),
    )
    .returning(members.c.share, members.c.granted_micro_usd)
)
_ORDERS = (
    sa.select(member_runs.c.paused, member_runs.c.prices, member_runs.c.doubt, stops.c.reason, stops.c.message)
    .outerjoin(stops, sa.and_(stops.c.batch == member_runs.c.batch, stops.c.run == member_runs.c.run))
    .where(member_runs.c.batch == sa.bindparam("of_batch"), member_runs.c.run == sa.bindparam("of_run"))
)


@dataclass(frozen=True)
class Orders:
    """Orders of the parent until the next exchange: calls in flight, a pause, and the decision to stop.

    `granted`: the member's allotment of the budget in micro-USD. `prices`, `doubt`: as `AllottedGate.grant` takes them.
    """

    share: int = 0
    paused: bool = False
    stop: BatchStopped | None = None
    granted: int = 0
    prices: Prices = NO_PRICES
    doubt: tuple[int, int, int] = (0, 0, 0)


class Present:
    """The present orders of a member, and the waits for the next exchange."""

    def __init__(self) -> None:
        self.orders = Orders()
        self._next = asyncio.Event()

    def announce(self) -> None:
        """Wake every wait."""
        announced, self._next = self._next, asyncio.Event()
        announced.set()

    async def wait(self) -> None:
        """Wait until the next exchange has ended."""
        await self._next.wait()


@dataclass(frozen=True)
class News:
    """The state of a member for its parent: counts, the maximum of calls in flight, and its need for budget.

    `returned`: micro-USD that it takes off its allotment.
    """

    counts: Counts
    confirmed: int = 0
    demand: Demand | None = None
    returned: int = 0
    prices: Prices = NO_PRICES


class MemberDesk:
    """The rows of one member; it lives as long as its lock is held."""

    def __init__(self, ledger: Ledger, held: Membership) -> None:
        self._ledger = ledger
        self._held = held
        row, shard = members.c, member_shards.c
        self._own = row.batch == held.batch, row.token == held.token
        self._shards = shard.batch == held.batch
        self._shards_of_run = sa.and_(shard.batch == held.batch, sa.not_(shard.done))

    def join(self, number: int) -> int:
        """Enter the member, with a share of 0, and return the rows per shard of the run; raises Orphaned."""
        held = self._held
        pid, transaction = held.owner
        with self._ledger.transaction() as db:
            held.check_parent(db)
            db.execute(
                members.insert().values(
                    batch=held.batch,
                    token=held.token,
                    run=held.run,
                    number=number,
                    pid=pid,
                    transaction=transaction,
                    share=0,
                    confirmed=0,
                    ended=False,
                    counts=asdict(Counts()),
                    granted_micro_usd=0,
                )
            )
            size = db.scalar(sa.select(member_runs.c.shard_size).where(member_runs.c.batch == held.batch))
        return size or 1

    def exchange(self, news: News) -> Orders:
        """Write the state of the member, and return the orders; raises Orphaned.

        After its end, or after the parent counted it as dead, its allotment is settled: it returns nothing more.
        """
        held = self._held
        written = {
            "of_batch": held.batch,
            "of_token": held.token,
            "counts": asdict(news.counts),
            "most": news.confirmed,
            "demand": None if news.demand is None else asdict(news.demand),
            "prices": prices_json(news.prices),
            "returned": news.returned,
        }
        with self._ledger.transaction() as db:
            held.check_parent(db)
            own = db.execute(_NEWS, written).one_or_none()
            if own is None:
                raise Orphaned(f"a member of batch {held.batch!r} has left, or lost its lock; run the batch again")
            orders = db.execute(_ORDERS, {"of_batch": held.batch, "of_run": held.run}).one()
        stop = None if orders.reason is None else BatchStopped(orders.reason, orders.message)
        prices, doubt = prices_from(orders.prices or {}), tuple(orders.doubt or (0, 0, 0))
        return Orders(own.share, orders.paused, stop, own.granted_micro_usd, prices, doubt)

    def take(self) -> int | None:
        """Take the next shard that no member has; None without one. Raises BatchStopped, LedgerError."""
        row = member_shards.c
        free = sa.select(row.shard).where(self._shards_of_run, row.token.is_(None)).order_by(row.shard)
        chosen = free.limit(1).with_for_update(skip_locked=True).scalar_subquery()
        taken = member_shards.update().where(self._shards, row.shard == chosen).values(token=self._held.token)
        with self._ledger.transaction() as db:
            self._held.check(db)
            return db.scalar(taken.returning(row.shard))

    def finish(self, shard: int) -> None:
        """Mark a shard as done: each of its rows was sent in this run."""
        row = member_shards.c
        own = self._shards, row.shard == shard, row.token == self._held.token
        with self._ledger.transaction() as db:
            db.execute(member_shards.update().where(*own).values(done=True))

    def has_open_shards(self) -> bool:
        """Return whether a shard is not done, free or in work at any member."""
        with self._ledger.transaction() as db:
            return bool(db.scalar(sa.select(sa.exists().where(self._shards_of_run))))

    def stop(self, stop: BatchStopped) -> None:
        """Stop the run for all members."""
        with self._ledger.transaction() as db:
            write_stop(db, self._held.batch, self._held.run, stop)

    def leave(self, counts: Counts, used: int | None) -> None:
        """Enter the end of the member, after its last call: its shards, its share and its unused budget are free."""
        ended = {"ended": True, "counts": asdict(counts), "confirmed": 0}
        if used is not None:
            ended["granted_micro_usd"] = used
        theirs = self._shards_of_run, member_shards.c.token == self._held.token
        try:
            with self._ledger.transaction() as db:
                db.execute(member_shards.update().where(*theirs).values(token=None))
                db.execute(free_parts(self._held.batch, self._held.token))
                db.execute(members.update().where(*self._own).values(**ended))
        except LedgerError as error:  # the parent frees them once the lock is released
            log.warning("batch %s: the end of a member cannot be written: %s", self._held.batch, error)
