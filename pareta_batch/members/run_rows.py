"""The ledger's rows of a run with members, as its parent reads and writes them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from pareta_batch.errors import BatchStopped, LedgerError
from pareta_batch.ledger import (
    Ledger,
    create_member_tables,
    exclude_late_claims,
    holder_of,
    living_members,
    member_runs,
    member_shards,
    members,
    stop_of,
    stops,
)
from pareta_batch.members.counts import Counts
from pareta_batch.members.shares import Held


@dataclass(frozen=True)
class MemberState:
    """A member as the parent reads it. `ended`: it left in order; `lives`: its lock is held."""

    token: str
    number: int
    held: Held
    ended: bool
    lives: bool
    counts: Counts


class RunRows:
    """The rows of one run; the ledger has those of the batch's last run only."""

    def __init__(self, ledger: Ledger, batch: str) -> None:
        self.run = uuid4().hex
        self._ledger = ledger
        self._batch = batch

    def begin(self, shards: Iterable[int], shard_size: int) -> None:
        """Enter the run and its shards in place of those of earlier runs; the lock of the batch must be held."""
        wanted = [{"batch": self._batch, "shard": shard, "token": None, "done": False} for shard in shards]
        with self._ledger.transaction() as db:
            create_member_tables(db)
            owner = holder_of(db, self._batch)
            if owner is None:
                raise LedgerError(f"batch {self._batch!r}: its lock is not held; open the run again")
            for table in (member_runs, members, member_shards, stops):
                db.execute(table.delete().where(table.c.batch == self._batch))
            run = {"batch": self._batch, "run": self.run, "shard_size": shard_size, "paused": False}
            db.execute(member_runs.insert().values(**run, owner_pid=owner[0], owner_transaction=owner[1]))
            if wanted:
                db.execute(member_shards.insert(), wanted)

    def end(self) -> None:
        """Remove the run: members that are left end as Orphaned."""
        row = member_runs.c
        with self._ledger.transaction() as db:
            db.execute(member_runs.delete().where(row.batch == self._batch, row.run == self.run))

    def states(self) -> list[MemberState]:
        """Return the state of every member that joined."""
        query = sa.select(members).where(members.c.batch == self._batch, members.c.run == self.run)
        with self._ledger.transaction() as db:
            found = db.execute(query.order_by(members.c.number)).mappings().all()
            living = living_members(db, self._batch)
        return [
            MemberState(
                token=row["token"],
                number=row["number"],
                held=Held(row["share"], row["confirmed"]),
                ended=row["ended"],
                lives=(row["pid"], row["transaction"]) in living and not row["ended"],
                counts=Counts(**row["counts"]),
            )
            for row in found
        ]

    def write(self, shares: Mapping[str, int], *, paused: bool) -> None:
        """Write the shares of members, and whether the run is paused."""
        row = members.c
        with self._ledger.transaction() as db:
            for token, share in shares.items():
                db.execute(members.update().where(row.batch == self._batch, row.token == token).values(share=share))
            db.execute(member_runs.update().where(member_runs.c.batch == self._batch).values(paused=paused))

    def free_shards(self, dead: Iterable[str]) -> None:
        """Free the shards of dead members; no claim of theirs is written after this."""
        row = member_shards.c
        with self._ledger.transaction() as db:
            exclude_late_claims(db, self._batch)
            theirs = row.batch == self._batch, row.token.in_(list(dead)), sa.not_(row.done)
            db.execute(member_shards.update().where(*theirs).values(token=None))

    def open_shards(self) -> int:
        """Return the number of shards that are not done."""
        row = member_shards.c
        query = sa.select(sa.func.count()).where(row.batch == self._batch, sa.not_(row.done))
        with self._ledger.transaction() as db:
            return db.scalar(query) or 0

    def stop(self, stop: BatchStopped) -> None:
        """Stop the run for all members."""
        with self._ledger.transaction() as db:
            write_stop(db, self._batch, self.run, stop)

    def stopped(self) -> BatchStopped | None:
        """Return the decision to stop the run; None while it goes on."""
        with self._ledger.transaction() as db:
            return stop_of(db, self._batch, self.run)


def write_stop(db: sa.Connection, batch: str, run: str, stop: BatchStopped) -> None:
    """Write the decision to stop a run; the first one is kept."""
    row = {"batch": batch, "run": run, "reason": stop.reason, "message": stop.message}
    db.execute(postgresql.insert(stops).values(row).on_conflict_do_nothing())
