"""A run whose rows come in blocks: its shards are single rows, which exist while a member works on them.

Any process may lead such a run. When the leading process ends, its members end as orphans, and one of them leads the
next run. A prefix of the run's id marks it, and its budget: a process joins no other run of the batch.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import sqlalchemy as sa

from pareta_batch.engine import TIMING, Timing, read_work
from pareta_batch.field_problems import InvalidOptions
from pareta_batch.ledger import (
    ALL_UNSETTLED,
    Ledger,
    Membership,
    check_serves_members,
    current,
    holder_of,
    insert_into,
    member_runs,
    member_shards,
    rows,
    spent_at,
)
from pareta_batch.members.parent import Lead, begun
from pareta_batch.members.run_rows import RunRows
from pareta_batch.rows import digest
from pareta_batch.spec import Batch

PREFIX = "blocks-"

_COLUMNS = ("batch", "shard", "token", "done", "billed_before_micro_usd")


@asynccontextmanager
async def lead_blocks(batch: Batch, ledger: Ledger, *, timing: Timing = TIMING) -> AsyncIterator[Lead]:
    """Hold a batch whose rows come in blocks; members take their rows by `take_rows`. Raises as `lead_members`."""
    check_serves_members(ledger)
    with ledger.lease(batch.name):
        work = await asyncio.to_thread(read_work, batch, ledger, ALL_UNSETTLED)
        leading = Lead(work, RunRows(ledger, batch.name, _prefix(batch)), 1, timing)
        async with begun(leading, (), 1):
            yield leading


def run_of_blocks(ledger: Ledger, batch: Batch) -> str | None:
    """Return the id of the run that a process leads now; None without one.

    Raises LedgerError, and InvalidOptions for a run with another budget: the leader alone grants budget.
    """
    row = member_runs.c
    query = sa.select(row.run, row.owner_pid, row.owner_transaction).where(row.batch == batch.name)
    with ledger.transaction() as db:
        found = db.execute(query.where(row.run.startswith(PREFIX))).one_or_none()
        is_led = found is not None and holder_of(db, batch.name) == tuple(found[1:])
    if found is None or not is_led:
        return None
    run: str = found[0]
    if not run.startswith(_prefix(batch)):
        problem = f"budget_usd: batch {batch.name!r} is open with another budget, here or in another process"
        raise InvalidOptions("ParetaCompleter", [f"{problem}; close that one, or give both the same budget"])
    return run


def _prefix(batch: Batch) -> str:
    return f"{PREFIX}{digest(batch.budget_usd)[:8]}-"


def take_rows(ledger: Ledger, held: Membership, positions: Sequence[int]) -> list[int]:
    """Take the rows at these positions that no other member works on, and return their positions.

    Raises BatchStopped, LedgerError.
    """
    shard, row = member_shards.c, rows.c
    billed = sa.func.coalesce(row.billed_micro_usd, 0)
    columns = sa.select(sa.literal(held.batch), row.position, sa.literal(held.token), sa.false(), billed)
    # In one order: two members that take the same rows would block each other.
    wanted = columns.where(*current(held.batch), row.position.in_(positions)).order_by(row.position)
    freed = sa.select(shard.shard).where(shard.batch == held.batch, shard.token.is_(None), shard.shard.in_(positions))
    freed = freed.with_for_update(skip_locked=True)
    with ledger.transaction() as db:
        held.check(db)
        db.execute(member_shards.delete().where(shard.batch == held.batch, shard.shard.in_(freed)))
        entered = insert_into(db, member_shards).from_select(_COLUMNS, wanted).on_conflict_do_nothing()
        return list(db.scalars(entered.returning(shard.shard)))


def free_rows(ledger: Ledger, held: Membership, positions: Sequence[int]) -> None:
    """Free rows that this member has taken; raises LedgerError.

    One row with a negative number keeps the sum of their receipts in this run: the unused allotment of a dead member is
    its grant without them. After a request in doubt, nothing of its grant is unused.
    """
    shard = member_shards.c
    own = shard.batch == held.batch, shard.token == held.token, shard.shard.in_(positions)
    with ledger.transaction() as db:
        before = sum(db.scalars(member_shards.delete().where(*own).returning(shard.billed_before_micro_usd)))
        spent = spent_at(db, held.batch, positions) - before
        values = (held.batch, -1 - int(held.token[:7], 16), held.token, True, -spent)
        entered = insert_into(db, member_shards).values(dict(zip(_COLUMNS, values, strict=True)))
        added = shard.billed_before_micro_usd + entered.excluded.billed_before_micro_usd
        db.execute(entered.on_conflict_do_update(index_elements=_COLUMNS[:2], set_={"billed_before_micro_usd": added}))
