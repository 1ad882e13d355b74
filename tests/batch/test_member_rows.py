"""The rows of members in the ledger: an allotment that was settled at the end of a member never changes again."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import sqlalchemy as sa

from pareta_batch.errors import Orphaned
from pareta_batch.ledger.ledger import Ledger
from pareta_batch.ledger.membership import join_run
from pareta_batch.ledger.run_tables import member_shards, members
from pareta_batch.members.counts import Counts
from pareta_batch.members.desk import MemberDesk, News
from pareta_batch.members.run_rows import RunRows
from tests.batch.test_shards import requests

LATE = News(Counts(), returned=60)


@pytest.fixture
def ledger(postgres_url: str) -> Iterator[Ledger]:
    opened = Ledger.open(postgres_url)
    yield opened
    opened.close()


@contextmanager
def one_member(ledger: Ledger, url: str) -> Iterator[tuple[RunRows, MemberDesk, str, ExitStack]]:
    """Yield a run with one member, its token, and the stack whose end releases its lock; it was granted 100."""
    ledger.register_rows("test", requests(10, {}))
    rows, opened = RunRows(ledger, "test"), Ledger.open(url)
    with ledger.lease("test"), ExitStack() as lock:
        rows.begin([0], 500, (0, 0, 0))
        held = lock.enter_context(join_run(opened, "test", rows.run))
        desk = MemberDesk(opened, held)
        desk.join(0)
        rows.write({}, {held.token: 100}, paused=False)
        yield rows, desk, held.token, lock
    opened.close()


def granted(rows: RunRows) -> int:
    (state,) = rows.states()
    return state.allotment.granted


def test_a_late_exchange_takes_nothing_off_the_allotment_of_a_member_that_left(
    ledger: Ledger, postgres_url: str
) -> None:
    with one_member(ledger, postgres_url) as (rows, desk, _, _):
        assert desk.exchange(LATE).granted == 40
        desk.leave(Counts(), 40)
        with pytest.raises(Orphaned, match="a member of batch 'test' has left, or lost its lock"):
            desk.exchange(LATE)
        assert granted(rows) == 40


def test_a_member_that_lost_its_lock_takes_nothing_off_what_the_parent_kept(ledger: Ledger, postgres_url: str) -> None:
    with one_member(ledger, postgres_url) as (rows, desk, token, _):
        rows.bury(token, lambda *_: 40)
        with pytest.raises(Orphaned):
            desk.exchange(LATE)
        assert granted(rows) == 40


def test_a_member_that_leaves_while_the_parent_reads_is_not_dead(ledger: Ledger, postgres_url: str) -> None:
    with one_member(ledger, postgres_url) as (rows, desk, _, lock):

        def leave(db: Any, cursor: Any, statement: str, *_: Any) -> None:
            if "FROM members" in statement:
                desk.leave(Counts(), 40)
                lock.close()

        sa.event.listen(ledger._database.engine, "after_cursor_execute", leave)
        try:
            (state,) = rows.states()
        finally:
            sa.event.remove(ledger._database.engine, "after_cursor_execute", leave)
        assert state.ended or state.lives
        assert rows.states()[0].ended


def test_a_member_that_has_left_is_granted_nothing_more(ledger: Ledger, postgres_url: str) -> None:
    with one_member(ledger, postgres_url) as (rows, desk, token, _):
        desk.leave(Counts(), 40)
        rows.write({token: 3}, {token: 60}, paused=False)
        assert granted(rows) == 40


def test_the_end_of_a_member_and_its_burial_lock_rows_in_one_order(ledger: Ledger, postgres_url: str) -> None:
    """A burial that waits for a shard has locked no member, whose end would wait for it with that shard."""
    with one_member(ledger, postgres_url) as (rows, desk, token, _), ThreadPoolExecutor(1) as pool:
        assert desk.take() == 0
        waits = sa.text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        with ledger.transaction() as db:
            db.execute(sa.select(member_shards).with_for_update())
            buried = pool.submit(rows.bury, token, lambda *_: 40)
            deadline = time.monotonic() + 60
            while not db.scalar(waits):
                assert time.monotonic() < deadline
                db.exec_driver_sql("SELECT pg_stat_clear_snapshot()")
            assert db.scalars(sa.select(members.c.token).with_for_update(nowait=True)).all() == [token]
        buried.result()
        assert granted(rows) == 40
