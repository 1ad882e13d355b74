"""The ledger's rows of one member: it joins, takes shards, and exchanges its counts for its share, once an interval."""

import logging
from dataclasses import asdict, dataclass

import sqlalchemy as sa

from pareta_batch.errors import BatchStopped, LedgerError
from pareta_batch.ledger import Ledger, Membership, member_runs, member_shards, members, stop_of
from pareta_batch.members.counts import Counts
from pareta_batch.members.run_rows import write_stop

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Orders:
    """Orders of the parent until the next exchange: calls in flight, a pause, and the decision to stop."""

    share: int = 0
    paused: bool = False
    stop: BatchStopped | None = None


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
                    billed_micro_usd=0,
                )
            )
            size = db.scalar(sa.select(member_runs.c.shard_size).where(member_runs.c.batch == held.batch))
        return size or 1

    def exchange(self, counts: Counts, confirmed: int) -> Orders:
        """Write the counts and the confirmed maximum of calls in flight, and return the orders; raises Orphaned."""
        held = self._held
        row = members.c
        with self._ledger.transaction() as db:
            held.check_parent(db)
            written = members.update().where(*self._own).values(counts=asdict(counts), confirmed=confirmed)
            share = db.scalar(written.returning(row.share))
            paused = db.scalar(sa.select(member_runs.c.paused).where(member_runs.c.batch == held.batch))
            stop = stop_of(db, held.batch, held.run)
        return Orders(share or 0, bool(paused), stop)

    def take(self) -> int | None:
        """Take the next shard that no member has; None without one. Raises BatchStopped, LedgerError."""
        row = member_shards.c
        free = sa.select(row.shard).where(self._shards_of_run, row.token.is_(None)).order_by(row.shard)
        chosen = free.limit(1).with_for_update(skip_locked=True).scalar_subquery()
        taken = member_shards.update().where(self._shards, row.shard == chosen).values(token=self._held.token)
        with self._ledger.transaction() as db:
            if problem := self._held.lost(db):
                raise LedgerError(problem)
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

    def leave(self, counts: Counts) -> None:
        """Enter the end of the member, after its last call: its shards and its share are free."""
        theirs = self._shards_of_run, member_shards.c.token == self._held.token
        try:
            with self._ledger.transaction() as db:
                db.execute(member_shards.update().where(*theirs).values(token=None))
                db.execute(members.update().where(*self._own).values(ended=True, counts=asdict(counts), confirmed=0))
        except LedgerError as error:  # the parent frees them once the lock is released
            log.warning("batch %s: the end of a member cannot be written: %s", self._held.batch, error)
