"""Counts per shard: after any writes they are those of the rows, and they are read in place of the rows."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pareta_batch.engine.planning import register_rows
from pareta_batch.errors import LedgerError
from pareta_batch.ledger.ledger import Ledger
from pareta_batch.ledger.outcomes import Tally
from pareta_batch.ledger.queries import missing_by_shard, tally_of
from pareta_batch.ledger.registration import Registration
from pareta_batch.ledger.schema import shards
from pareta_batch.ledger.selection import ALL_UNSETTLED, RowSelection
from pareta_batch.ledger.shards import uncount_keys
from pareta_batch.ledger.sharing import Sharing
from pareta_batch.ledger.writes import LedgerWrites
from pareta_batch.rows.requests import RowRequest
from pareta_sandbox.testing import Sandbox
from tests.batch.batches import answered, batch_in, failed, on_both_databases, run
from tests.examples import share_of

AT = [0, 1, 2, 499, 500, 501, 1_000]
"""Positions that are edited and answered: on both sides of the borders of shards."""

batches = count()
numbers = st.integers(0, 10**6)
edits = st.tuples(
    st.just("register"),
    st.sampled_from([0, 1, 3, 499, 500, 501, 1_001]),
    st.dictionaries(st.sampled_from(AT), st.sampled_from("uvw")),
    st.booleans(),
)
writes = st.tuples(
    st.sampled_from(["claim", "release", "settle", "fail", "fail for good", "doubt", "second turn"]),
    st.sets(st.sampled_from(AT), min_size=1),
    numbers,
    numbers,
)
others = st.tuples(st.sampled_from(["copies", "recount"]))
steps = st.lists(st.one_of(edits, writes, writes, others), min_size=2, max_size=6)


def requests(total: int, works: dict[int, str]) -> list[RowRequest]:
    work = {at: works.get(at, f"w{at}") for at in range(total)}
    return [RowRequest(at, f"r{at}", each, ({"role": "user", "content": each},)) for at, each in work.items()]


def apply(ledger: Ledger, batch: str, step: tuple[Any, ...], known: list[RowRequest]) -> None:
    match step:
        case ("register", total, works, within):
            known[:] = requests(total, works)
            ledger.register_rows(batch, known, Sharing(within_batch=within))
        case ("copies",):
            ledger.settle_copies(batch)
        case ("recount",):
            ledger.recount(batch, 0, 1_500)
        case (kind, at, billed, tokens):
            written(ledger, batch, kind, [each for each in known if each.position in at], (billed, tokens))


def written(ledger: Ledger, batch: str, kind: str, some: list[RowRequest], paid: tuple[int, int]) -> None:
    given: dict[str, Any] = {
        "billed_micro_usd": paid[0],
        "prompt_tokens": paid[1],
        "completion_tokens": 1 + paid[1] % 9,
    }
    match kind:
        case "claim":
            with suppress(LedgerError):  # one of them has an answer: nothing is written
                ledger.write(batch, LedgerWrites(claims=some))
        case "release":
            ledger.write(batch, LedgerWrites(released=some))
        case "settle":
            flag = (None, "cut", "empty")[paid[0] % 3]
            ledger.record(batch, [answered(each.key, each.fingerprint, flag=flag, **given) for each in some])
        case "doubt":
            ledger.record(batch, [failed(each.key, each.fingerprint, retryable=True, in_doubt=True) for each in some])
        case "second turn":
            turn: dict[str, Any] = {"turns": "[]", "turn_bytes": 7, "asked_again_micro_usd": 1, "lost_receipts": 1}
            ledger.record(batch, [failed(e.key, e.fingerprint, retryable=True, **turn, **given) for e in some])
        case _:
            ledger.record(batch, [failed(each.key, each.fingerprint, retryable=kind == "fail") for each in some])


Found = tuple[Tally, list[dict[int, int]]]


def found(db: sa.Connection, batch: str) -> Found:
    wanted = ALL_UNSETTLED, RowSelection(only_failed=True), RowSelection(errors=("APIStatusError",))
    return tally_of(db, batch), [missing_by_shard(db, batch, size, each) for size in (500, 7) for each in wanted]


def by_rows(ledger: Ledger, batch: str) -> Found:
    """Return the same without the counts of the shards: a batch without them is read from its rows."""
    with ledger._database.connect() as db, db.begin() as transaction:
        db.execute(shards.delete())
        read = found(db, batch)
        transaction.rollback()
    return read


@on_both_databases
@settings(max_examples=share_of(8), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps)
def test_after_any_writes_the_counts_of_shards_are_those_of_the_rows(ledger: Ledger, steps: list[Any]) -> None:
    batch, known = f"batch {next(batches)}", list[RowRequest]()
    for step in steps:
        apply(ledger, batch, step, known)
        with ledger.transaction() as db:
            by_shards = found(db, batch)
        assert by_shards == by_rows(ledger, batch)


def counted(ledger: Ledger) -> dict[int, bool]:
    with ledger.transaction() as db:
        query = sa.select(shards.c.shard, shards.c.counted).order_by(shards.c.shard)
        return dict(db.execute(query).tuples().all())


def test_a_write_uncounts_the_shard_of_an_id_with_nul(ledger: Ledger) -> None:
    asks = [replace(each, key=f"r\0{each.position}") for each in requests(501, {})]  # PostgreSQL refuses it
    ledger.register_rows("test", asks)
    ledger.record("test", [answered(asks[500].key, asks[500].fingerprint, billed_micro_usd=7)])
    assert counted(ledger) == {-1: True, 0: True, 1: False}
    tally = ledger.tally("test")
    assert (tally.settled, tally.billed_micro_usd) == (1, 7)


@on_both_databases
def test_a_write_uncounts_its_own_shard_and_a_recount_waits_for_the_next(ledger: Ledger) -> None:
    asks = requests(1_600, {})
    ledger.register_rows("test", asks)
    assert counted(ledger) == dict.fromkeys(range(-1, 4), True)
    ledger.write("test", LedgerWrites(claims=[asks[700]]))
    assert counted(ledger) == {-1: True, 0: True, 1: False, 2: True, 3: True}
    ledger.record("test", [answered(asks[1_599].key, asks[1_599].fingerprint)])
    ledger.recount("test", 500, 1_000)
    assert counted(ledger) == {-1: True, 0: True, 1: True, 2: True, 3: False}
    assert ledger.tally("test").pending == 1_599
    ledger.register_rows("test", asks)
    assert counted(ledger) == dict.fromkeys(range(-1, 4), True)


def test_counted_shards_are_not_read_from_their_rows(ledger: Ledger) -> None:
    ledger.register_rows("test", requests(1_001, {}))
    with ledger.transaction() as db:
        db.exec_driver_sql("UPDATE rows SET state = 'failed'")  # by another program
    assert (ledger.tally("test").pending, ledger.missing_shards("test", 500)) == (1_001, {0: 500, 1: 500, 2: 1})
    ledger.record("test", [answered("r0", "w0")])
    assert ledger.tally("test").failed == 499, "its shard is read, the others are not"


def test_receipts_beyond_63_bits_are_added_up_from_the_rows(ledger: Ledger) -> None:
    asks = requests(12, {})
    ledger.register_rows("test", asks)
    ledger.record("test", [answered(each.key, each.fingerprint) for each in asks])
    with ledger.transaction() as db:  # as an older version stored them
        db.exec_driver_sql("UPDATE rows SET billed_micro_usd = 999999999999999999")
    ledger.register_rows("test", asks)
    assert counted(ledger) == {-1: True, 0: False}
    assert ledger.tally("test").billed_micro_usd == 12 * (10**18 - 1)


async def test_a_completed_shard_is_counted_by_the_run(tmp_path: Path, sandbox: Sandbox, ledger: Ledger) -> None:
    batch = batch_in(tmp_path, 600)
    report = await run(batch, sandbox, ledger)
    assert (report.status, report.settled) == ("completed", 600)
    assert counted(ledger) == {-1: True, 0: True, 1: True}
    assert register_rows(batch, ledger).to_send == 0


@on_both_databases
def test_prices_of_shards_with_rare_dear_receipts_are_those_of_the_rows(ledger: Ledger) -> None:
    asks = requests(1_500, {})
    ledger.register_rows("test", asks)
    paid = [
        answered(each.key, each.fingerprint, prompt_tokens=100, completion_tokens=10, billed_micro_usd=100)
        for each in asks
    ]
    paid[700] = replace(paid[700], billed_micro_usd=900)
    paid[1_400] = replace(paid[1_400], prompt_tokens=1_000, completion_tokens=100)
    ledger.record("test", paid)
    ledger.recount("test", 0, 1_500)
    assert all(counted(ledger).values())
    assert ledger.tally("test") == by_rows(ledger, "test")[0]
    assert ledger.tally("test").prices.known


def test_writers_of_several_shards_lock_them_in_one_order(postgres_url: str) -> None:
    """A writer that waits for shard 0 has not locked shard 1: two writers never wait for each other."""
    ledger = Ledger.open(postgres_url)
    asks = requests(1_001, {})
    ledger.register_rows("test", asks)
    of_batch = shards.c.batch == "test"
    lock = sa.select(shards.c.shard).with_for_update(nowait=True)
    group = LedgerWrites(claims=[asks[1_000], asks[600], asks[0]])
    waits = sa.text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    with ThreadPoolExecutor(1) as pool:
        with ledger.transaction() as db:
            db.execute(lock.where(of_batch, shards.c.shard == 0))
            written = pool.submit(ledger.write, "test", group)
            deadline = time.monotonic() + 60
            while not db.scalar(waits):
                assert time.monotonic() < deadline
                db.exec_driver_sql("SELECT pg_stat_clear_snapshot()")
            assert db.scalars(lock.where(of_batch, shards.c.shard > 0)).all() == [1, 2]
        written.result()
    assert counted(ledger) == {-1: True, 0: False, 1: False, 2: False}
    ledger.close()


def test_large_groups_of_two_members_do_not_block_each_other(postgres_url: str) -> None:
    ledger, both = Ledger.open(postgres_url), threading.Barrier(2)
    asks = requests(4_000, {})
    ledger.register_rows("test", asks)

    def write(some: list[RowRequest]) -> None:
        with ledger.transaction() as db:
            both.wait(timeout=30)
            uncount_keys(db, "test", [each.key for each in some])

    low, high = asks[:2_000], asks[2_000:]
    with ThreadPoolExecutor(2) as pool:
        writing = [pool.submit(write, low[::2] + high[::2]), pool.submit(write, high[1::2] + low[1::2])]
    assert [each.result() for each in writing] == [None, None]
    ledger.close()


def test_a_late_outcome_whose_row_moves_to_another_shard_leaves_no_stale_count(postgres_url: str) -> None:
    """A member that lost its lock writes what it received while the next run registers a changed dataset."""
    ledger = Ledger.open(postgres_url)
    asks = requests(1_000, {})
    ledger.register_rows("test", asks)
    asks[0], asks[600] = replace(asks[600], position=0), replace(asks[0], position=600)
    waits = sa.text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    with ThreadPoolExecutor(1) as pool:
        with ledger.transaction() as db:
            registration = Registration("test", datetime.now())
            registration.begin(db, 1_000)
            registration.write(db, asks)
            writing = pool.submit(ledger.record, "test", [answered(asks[600].key, asks[600].fingerprint)])
            deadline = time.monotonic() + 60
            while not db.scalar(waits):
                assert time.monotonic() < deadline
                db.exec_driver_sql("SELECT pg_stat_clear_snapshot()")
            registration.finish(db)
        writing.result()
    assert ledger.missing_shards("test", 500) == {0: 500, 1: 499}
    assert ledger.tally("test") == by_rows(ledger, "test")[0]
    assert ledger.tally("test").pending == 999
    ledger.close()
