"""The ledger's rows of a run with members, as its parent reads and writes them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import sqlalchemy as sa

from pareta_batch.answers import WrittenParts
from pareta_batch.errors import BatchStopped, LedgerError
from pareta_batch.ledger import (
    Ledger,
    batches,
    billed_by_shard,
    exclude_late_claims,
    holder_of,
    insert_into,
    living_members,
    member_parts,
    member_runs,
    member_shards,
    members,
    spent_by_member,
    stop_of,
    stops,
)
from pareta_batch.members.allotments import Allotment, Demand
from pareta_batch.members.counts import Counts
from pareta_batch.members.funds import prices_from, prices_json
from pareta_batch.members.shares import Held
from pareta_batch.money import NO_PRICES, Prices


@dataclass(frozen=True)
class MemberState:
    """A member as the parent reads it. `ended`: it left in order; `lives`: its lock is held."""

    token: str
    number: int
    held: Held
    ended: bool
    lives: bool
    counts: Counts
    allotment: Allotment
    prices: Prices

    @property
    def present_counts(self) -> Counts:
        """The counts, without the calls in flight of a member that has died."""
        return self.counts if self.lives else replace(self.counts, in_flight=0)


class RunRows:
    """The rows of one run; the ledger has those of the batch's last run only. `prefix`: begins the run's id."""

    def __init__(self, ledger: Ledger, batch: str, prefix: str = "") -> None:
        self.run = prefix + uuid4().hex[len(prefix) :]
        self._ledger = ledger
        self._batch = batch

    def begin(self, shards: Iterable[int], shard_size: int, doubt: tuple[int, int, int]) -> None:
        """Enter the run and its shards in place of those of earlier runs; the lock of the batch must be held."""
        self._shard_size = shard_size
        with self._ledger.transaction() as db:
            owner = holder_of(db, self._batch)
            if owner is None:
                raise LedgerError(f"batch {self._batch!r}: its lock is not held; open the run again")
            # Shards come first, as in `bury` and in `MemberDesk.leave`: all lock rows in one order.
            for table in (member_shards, member_parts, members, member_runs, stops):
                db.execute(table.delete().where(table.c.batch == self._batch))
            run = {"batch": self._batch, "run": self.run, "shard_size": shard_size, "paused": False, "doubt": doubt}
            db.execute(member_runs.insert().values(**run, owner_pid=owner[0], owner_transaction=owner[1]))
            wanted = list(shards)
            billed = billed_by_shard(db, self._batch, shard_size) if wanted else {}
            columns = {"batch": self._batch, "token": None, "done": False}
            if wanted:
                rows = [{**columns, "shard": each, "billed_before_micro_usd": billed.get(each, 0)} for each in wanted]
                db.execute(member_shards.insert(), rows)

    def end(self) -> None:
        """Remove the run: members that are left end as Orphaned."""
        row = member_runs.c
        with self._ledger.transaction() as db:
            db.execute(member_runs.delete().where(row.batch == self._batch, row.run == self.run))

    def states(self) -> list[MemberState]:
        """Return the state of every member that joined."""
        query = sa.select(members).where(members.c.batch == self._batch, members.c.run == self.run)
        with self._ledger.transaction() as db:
            # Read before and after: a member may join, or leave in order, meanwhile.
            living = living_members(db, self._batch)
            found = db.execute(query.order_by(members.c.number)).mappings().all()
            living |= living_members(db, self._batch)
        return [
            MemberState(
                token=row["token"],
                number=row["number"],
                held=Held(row["share"], row["confirmed"]),
                ended=row["ended"],
                lives=(row["pid"], row["transaction"]) in living and not row["ended"],
                counts=Counts(**row["counts"]),
                allotment=Allotment(row["granted_micro_usd"], Demand(**row["demand"]) if row["demand"] else None),
                prices=prices_from(row["prices"] or {}),
            )
            for row in found
        ]

    def write(
        self, shares: Mapping[str, int], grants: Mapping[str, int], *, paused: bool, prices: Prices = NO_PRICES
    ) -> None:
        """Write the new shares and additional grants of members, a pause of the run, and the price bounds.

        A member that has ended meanwhile gets nothing: it would return nothing.
        """
        row = members.c
        run = member_runs.c.batch == self._batch, member_runs.c.run == self.run
        with self._ledger.transaction() as db:
            for token in shares.keys() | grants.keys():
                values: dict[str, Any] = {"share": shares[token]} if token in shares else {}
                if token in grants:
                    values["granted_micro_usd"] = row.granted_micro_usd + grants[token]
                of_member = row.batch == self._batch, row.token == token, sa.not_(row.ended)
                db.execute(members.update().where(*of_member).values(values))
            db.execute(member_runs.update().where(*run).values(paused=paused, prices=prices_json(prices)))

    def bury(self, token: str, kept_of: Callable[[int, int, int], int]) -> None:
        """Free the shards of a dead member, set its grant to the part that stays used, and end its exchanges.

        `kept_of` returns it from the receipts, the requests in doubt, and their bytes. No claim of the member is
        written after this. Shards come first, as in `MemberDesk.leave`: both lock rows in one order.
        """
        row = member_shards.c
        with self._ledger.transaction() as db:
            exclude_late_claims(db, self._batch)
            kept = kept_of(*spent_by_member(db, self._batch, token, self._shard_size))
            theirs = row.batch == self._batch, row.token == token, sa.not_(row.done)
            db.execute(member_shards.update().where(*theirs).values(token=None))
            db.execute(free_parts(self._batch, token))
            of_member = members.c.batch == self._batch, members.c.token == token
            db.execute(members.update().where(*of_member).values(granted_micro_usd=kept, ended=True))

    def holders(self) -> set[str]:
        """Return the tokens of the members with shards that are not done."""
        row = member_shards.c
        query = sa.select(row.token).where(row.batch == self._batch, sa.not_(row.done), row.token.is_not(None))
        with self._ledger.transaction() as db:
            return {token for token in db.scalars(query.distinct()) if token is not None}

    def open_shards(self) -> int:
        """Return the number of shards that are not done."""
        row = member_shards.c
        query = sa.select(sa.func.count()).where(row.batch == self._batch, sa.not_(row.done))
        with self._ledger.transaction() as db:
            return db.scalar(query) or 0

    def all_done(self) -> bool:
        """Return whether every shard is done."""
        row = member_shards.c
        is_open = sa.exists().where(row.batch == self._batch, sa.not_(row.done))
        with self._ledger.transaction() as db:
            return not db.scalar(sa.select(is_open))

    def total(self) -> int:
        """Return the number of registered rows of the batch."""
        with self._ledger.transaction() as db:
            return db.scalar(sa.select(batches.c.rows).where(batches.c.batch == self._batch)) or 0

    def offer_parts(self, ranges: Iterable[range]) -> None:
        """Enter the ranges of shards whose parts members write."""
        offered = [{"batch": self._batch, "first": each.start, "stop": each.stop} for each in ranges]
        with self._ledger.transaction() as db:
            db.execute(member_parts.insert(), offered)

    def written_parts(self) -> WrittenParts | None:
        """Return the sum of the parts that members wrote; None if a range is not written."""
        row = member_parts.c
        query = sa.select(row.parts, row.rows, row.answers).where(row.batch == self._batch)
        with self._ledger.transaction() as db:
            found = db.execute(query).all()
        if not found or any(parts is None for parts, _, _ in found):
            return None
        return sum((WrittenParts(*each) for each in found), WrittenParts())

    def stop(self, stop: BatchStopped) -> None:
        """Stop the run for all members."""
        with self._ledger.transaction() as db:
            write_stop(db, self._batch, self.run, stop)

    def stopped(self) -> BatchStopped | None:
        """Return the decision to stop the run; None while it goes on."""
        with self._ledger.transaction() as db:
            return stop_of(db, self._batch, self.run)


def free_parts(batch: str, token: str) -> sa.Update:
    """Return the statement that frees the ranges of parts that a member has taken and not written."""
    row = member_parts.c
    unwritten = row.batch == batch, row.token == token, row.parts.is_(None)
    return member_parts.update().where(*unwritten).values(token=None)


def write_stop(db: sa.Connection, batch: str, run: str, stop: BatchStopped) -> None:
    """Write the decision to stop a run; the first one is kept."""
    row = {"batch": batch, "run": run, "reason": stop.reason, "message": stop.message}
    db.execute(insert_into(db, stops).values(row).on_conflict_do_nothing())
