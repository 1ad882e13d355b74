"""Receipts and doubts of the shards of a run, to take back the unused allotment of a dead member."""

from collections.abc import Sequence

import sqlalchemy as sa

from pareta_batch.ledger.run_tables import member_shards
from pareta_batch.ledger.schema import rows
from pareta_batch.ledger.selection import current
from pareta_batch.ledger.sums import LOST, SENT_BYTES

DOUBT_MICRO_USD = 2**40
"""Micro-USD that stand for a request in doubt whose bound is not known here: more than a grant, with room for sums."""


def billed_by_shard(db: sa.Connection, batch: str, shard_size: int) -> dict[int, int]:
    """Return the micro-USD of the receipts of each shard that has any."""
    shard = rows.c.position // shard_size
    query = sa.select(shard, sa.func.sum(rows.c.billed_micro_usd)).where(*current(batch), rows.c.billed_micro_usd > 0)
    return {number: int(billed) for number, billed in db.execute(query.group_by(shard))}


def spent_at(db: sa.Connection, batch: str, positions: Sequence[int]) -> int:
    """Return the receipts of rows in micro-USD, with `DOUBT_MICRO_USD` for each row that has a request in doubt."""
    spent = sa.func.coalesce(rows.c.billed_micro_usd, 0) + sa.case((LOST, DOUBT_MICRO_USD), else_=0)
    query = sa.select(sa.func.sum(spent)).where(*current(batch), rows.c.position.in_(positions))
    return int(db.scalar(query) or 0)


def spent_by_member(db: sa.Connection, batch: str, token: str, shard_size: int) -> tuple[int, int, int]:
    """Return the receipts of this run in a member's shards in micro-USD, and the requests in doubt with their bytes."""
    row = member_shards.c
    own = row.batch == batch, row.token == token
    before = db.scalar(sa.select(sa.func.coalesce(sa.func.sum(row.billed_before_micro_usd), 0)).where(*own)) or 0
    times = sa.case((LOST, 1 + rows.c.lost_receipts), else_=0)
    sums = (rows.c.billed_micro_usd, times, times * SENT_BYTES)
    query = sa.select(*(sa.func.coalesce(sa.func.sum(each), 0) for each in sums)).where(
        *current(batch), (rows.c.position // shard_size).in_(sa.select(row.shard).where(*own))
    )
    billed, requests, prompt_bytes = map(int, db.execute(query).one())
    return billed - int(before), requests, prompt_bytes
