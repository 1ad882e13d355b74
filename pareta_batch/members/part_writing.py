"""Parts of an output folder, written by the members once all rows are sent; the parent completes the folder.

The parent divides the parts into one range per member, and each member takes the next free one. A range that no member
has written is left to the parent, which then writes the whole folder; parts that are the same stay as they are.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from math import ceil

import sqlalchemy as sa

from pareta_batch.answers import WrittenParts, shards_per_part, write_parts
from pareta_batch.engine import Session
from pareta_batch.errors import BatchError, BatchStopped
from pareta_batch.ledger import Ledger, Membership, member_parts
from pareta_batch.rows import Address
from pareta_batch.spec import Batch

log = logging.getLogger(__name__)


def members_write(batch: Batch) -> bool:
    """Return whether the members write the output: a folder, which they and the dataset's readers all can reach."""
    if batch.output_folder is None:
        return False
    try:
        dataset = Address.parse(str(batch.dataset)).store
    except ValueError:
        return False
    stores = {dataset, batch.output_folder.store}
    return "-" not in stores and (batch.runner == "local" or "file" not in stores)


def part_ranges(batch: Batch, rows: int, members: int) -> list[range]:
    """Return at most one range of shards per member, of whole parts: a range is read from the start of the dataset."""
    size = shards_per_part(batch)
    parts = ceil(rows / (size * batch.shard_size))
    each = ceil(parts / members)
    return [range(first * size, min(first + each, parts) * size) for first in range(0, parts, max(each, 1))]


class PartDesk:
    """The ranges of parts in the ledger, as one member takes and writes them."""

    def __init__(self, ledger: Ledger, held: Membership) -> None:
        self._ledger = ledger
        self._held = held
        self._of_batch = member_parts.c.batch == held.batch

    def take(self) -> range | None:
        """Take the next range that no member has; None without one. Raises BatchStopped, LedgerError."""
        row = member_parts.c
        free = sa.select(row.first).where(self._of_batch, row.token.is_(None)).order_by(row.first)
        chosen = free.limit(1).with_for_update(skip_locked=True).scalar_subquery()
        taken = member_parts.update().where(self._of_batch, row.first == chosen).values(token=self._held.token)
        with self._ledger.transaction() as db:
            self._held.check(db)
            found = db.execute(taken.returning(row.first, row.stop)).one_or_none()
        return None if found is None else range(*found)

    def check(self) -> None:
        """Raise BatchStopped after a stop of the run, LedgerError if this member has lost its lock."""
        with self._ledger.transaction() as db:
            self._held.check(db)

    def finish(self, shards: range, written: WrittenParts) -> None:
        """Enter the parts of a range as written."""
        row = member_parts.c
        own = self._of_batch, row.first == shards.start, row.token == self._held.token
        with self._ledger.transaction() as db:
            db.execute(member_parts.update().where(*own).values(asdict(written)))

    def are_left(self) -> bool:
        """Return whether a range is not written, or the parent has not entered the ranges yet."""
        query = sa.select(sa.func.count(), sa.func.count(member_parts.c.parts)).where(self._of_batch)
        with self._ledger.transaction() as db:
            ranges, written = db.execute(query).one()
        return bool(ranges == 0 or written < ranges)


async def write_as_member(
    batch: Batch, ledger: Ledger, session: Session, desk: PartDesk, exchanged: Callable[[], Awaitable[None]]
) -> None:
    """Write ranges of parts until all are written, at this member or another one, or the session is stopped.

    Without parts that members write, return at once.

    `batch`: with the shards of the specification. `exchanged`: waits for the next exchange with the parent.
    """

    def check() -> None:
        if session.stop is not None:
            raise session.stop
        desk.check()

    try:
        while members_write(batch) and session.stop is None:
            if (shards := await asyncio.to_thread(desk.take)) is not None:
                written = await _uncancelled(session, lambda shards=shards: write_parts(batch, ledger, shards, check))  # type: ignore[misc]
                await asyncio.to_thread(desk.finish, shards, written)
            elif await asyncio.to_thread(desk.are_left):
                await exchanged()
            else:
                return
    except BatchStopped as stop:
        session.stop_because(stop.reason, stop.message)
    except BatchError as error:
        # The parent writes the folder, and raises an error that it meets too.
        log.warning("batch %s: a member cannot write its parts: %s", batch.name, error)


async def _uncancelled(session: Session, write: Callable[[], WrittenParts]) -> WrittenParts:
    """Write in a thread; a cancelled member waits for its end, so that no part appears after the member has left."""
    writing = asyncio.ensure_future(asyncio.to_thread(write))
    try:
        return await asyncio.shield(writing)
    except asyncio.CancelledError:
        session.stop_because("Cancelled", "the member was cancelled")
        await asyncio.gather(writing, return_exceptions=True)
        raise
