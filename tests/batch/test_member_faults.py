"""Members and parents that die: every row is answered and paid once, and the limit holds at every moment."""

import asyncio
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import sqlalchemy as sa

from pareta_batch.engine.planning import register_rows
from pareta_batch.errors import Orphaned
from pareta_batch.ledger.ledger import Ledger
from pareta_batch.ledger.membership import living_members
from pareta_batch.ledger.run_tables import members
from pareta_batch.members import Lead, Member, lead_members
from pareta_sandbox.testing import Sandbox
from tests.batch import postgres
from tests.batch.batches import batch_in, run, until
from tests.batch.member_processes import ORPHANED, Processes, parent_elsewhere, run_of
from tests.batch.test_members import member_of

ROWS = 300


@pytest.fixture(params=["direct", pytest.param("pooled", marks=pytest.mark.long)])
def url(
    request: pytest.FixtureRequest, tmp_path: Path, postgres_server: postgres.Server, postgres_url: str
) -> Iterator[str]:
    """A database, reached directly and through PgBouncer in transaction mode."""
    if request.param == "direct":
        yield postgres_url
    else:
        with postgres.pooler(postgres_server, postgres_url, tmp_path) as pooled:
            yield pooled


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    opened = Ledger.open(url)
    yield opened
    opened.close()


def living(ledger: Ledger) -> int:
    with ledger.transaction() as db:
        return len(living_members(db, "test"))


async def test_the_rows_of_a_killed_member_are_sent_by_the_others(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.change(latency_ms=20)
    batch = batch_in(tmp_path, ROWS, max_in_flight=9, timeout_s=2)
    register_rows(batch, ledger)
    with Processes(batch, sandbox, url) as processes:
        async with lead_members(batch, ledger, 3) as leading:
            working = asyncio.create_task(leading.work(processes.start_all))
            await until(lambda: sandbox.books().completions >= 60, within_s=60)
            processes.running[0].kill()
            await working
        assert (leading.stop, leading.progress.snapshot().in_flight) == (None, 0)
    assert re.search(r"member 0 has died; its shards are free now, and its [0-9] slots? in 2 s", caplog.text)
    assert ledger.tally("test").settled == ROWS
    sandbox.completed(ROWS)
    sandbox.debited_once()
    sandbox.never_more_in_flight_than(9)


async def test_members_of_a_killed_parent_end_as_orphans_and_the_next_run_continues(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, url: str
) -> None:
    sandbox.change(latency_ms=50)
    batch = batch_in(tmp_path, ROWS, max_in_flight=6)
    with Processes(batch, sandbox, url) as processes, parent_elsewhere(batch, url) as parent:
        await until(lambda: run_of(ledger) is not None, within_s=60)
        for number in range(2):
            processes.start(Member(run_of(ledger) or "", number))
        await until(lambda: sandbox.books().completions >= 20, within_s=60)
        assert living(ledger) == 2
        parent.kill()
        parent.join()
        # A new run waits until the calls of the orphans are settled; each row is sent once.
        report = await run(batch, sandbox, ledger)
        await until(lambda: not any(process.is_alive() for process in processes.running))
        assert [process.exitcode for process in processes.running] == [ORPHANED, ORPHANED]
    assert (report.status, report.settled, report.unknown, report.replayed) == ("completed", ROWS, 0, 0)
    assert living(ledger) == 0
    assert sandbox.books().replays == 0
    sandbox.completed(ROWS)
    sandbox.debited_once()


async def test_a_member_of_an_ended_run_does_not_join(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, url: str
) -> None:
    batch = batch_in(tmp_path, 3)
    register_rows(batch, ledger)
    async with lead_members(batch, ledger, 1) as leading:
        (late,) = leading.members
    for member in (late, Member("a run of another ledger", 0)):
        with pytest.raises(Orphaned, match=r"run .* of batch 'test' has ended; this member stops"):
            await member_of(batch, sandbox, url, member)
    assert sandbox.books().completions == 0


@pytest.mark.long
async def test_a_cancelled_member_settles_its_calls_and_leaves_its_shards_to_the_others(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, url: str
) -> None:
    sandbox.change(latency_ms=30)
    batch = batch_in(tmp_path, 120, max_in_flight=6)
    register_rows(batch, ledger)

    async def start(every: list[Member]) -> None:
        first, *others = [asyncio.create_task(member_of(batch, sandbox, url, one)) for one in every]
        await until(lambda: sandbox.books().completions >= 30, within_s=60)
        first.cancel()
        await asyncio.gather(first, *others, return_exceptions=True)

    async with lead_members(batch, ledger, 2) as leading:
        await leading.work(start)  # type: ignore[arg-type]  # a list is a sequence
    assert leading.stop is None
    assert ledger.tally("test").settled == 120
    assert sandbox.books().replays == 0
    sandbox.debited_once()


@pytest.mark.long
async def test_a_pause_and_a_new_limit_act_on_all_members(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, url: str
) -> None:
    sandbox.change(latency_ms=40)
    batch = batch_in(tmp_path, 400, max_in_flight=12)
    register_rows(batch, ledger)
    with Processes(batch, sandbox, url) as processes:
        async with lead_members(batch, ledger, 3) as leading:
            working = asyncio.create_task(leading.work(processes.start_all))
            await until(lambda: sandbox.books().completions >= 20, within_s=60)
            leading.apply(paused=True, max_in_flight=None)
            await until(lambda: sandbox.books().in_flight == 0 and confirmed(ledger) == 12)
            await asyncio.to_thread(paused_in_every_member, ledger, leading)
            at_rest = sandbox.books().completions_seen
            assert leading.progress.snapshot().paused
            leading.apply(paused=False, max_in_flight=3)
            await until(lambda: sandbox.books().completions_seen > at_rest, within_s=30)
            leading.apply(paused=False, max_in_flight=None)
            leading.stop_because("Interrupted", "Ctrl-C")
            await working
        assert leading.stop is not None
        assert leading.stop.reason == "Interrupted"
    assert sandbox.books().in_flight == 0
    assert ledger.tally("test").settled == sandbox.books().completions
    sandbox.debited_once()


def confirmed(ledger: Ledger) -> int:
    with ledger.transaction() as db:
        return db.scalar(sa.select(sa.func.sum(members.c.confirmed))) or 0


def paused_in_every_member(ledger: Ledger, leading: Lead) -> None:
    with ledger.transaction() as db:
        assert len(living_members(db, "test")) == len(leading.members)


@pytest.mark.long
async def test_calls_in_flight_stay_below_the_limit_while_members_join_and_die(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, url: str
) -> None:
    sandbox.change(latency_ms=30)
    batch = batch_in(tmp_path, 500, max_in_flight=8, timeout_s=1)
    register_rows(batch, ledger)
    with Processes(batch, sandbox, url) as processes:
        async with lead_members(batch, ledger, 2) as leading:
            working = asyncio.create_task(leading.work(processes.start_all))
            for number, settled in ((2, 40), (3, 150)):
                await until(lambda settled=settled: sandbox.books().completions >= settled, within_s=60)  # type: ignore[misc]
                processes.running[number - 2].kill()
                processes.start(Member(leading.members[0].run, number))
            await working
        assert leading.stop is None
    assert ledger.tally("test").settled == 500
    sandbox.never_more_in_flight_than(8)
    sandbox.debited_once()


async def test_fewer_slots_than_members_complete_the_shards_of_all(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, url: str
) -> None:
    sandbox.change(latency_ms=30)
    batch = batch_in(tmp_path, 60, max_in_flight=6)
    register_rows(batch, ledger)

    async def start(every: Sequence[Member]) -> None:
        await asyncio.gather(*(member_of(batch, sandbox, url, one) for one in every))

    async with lead_members(batch, ledger, 3) as leading, asyncio.timeout(60):
        working = asyncio.create_task(leading.work(start))
        await until(lambda: sandbox.books().completions >= 12, within_s=60)
        leading.apply(paused=False, max_in_flight=1)
        await working
    assert ledger.tally("test").settled == 60
    sandbox.debited_once()
