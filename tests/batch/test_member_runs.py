"""The parent of members: what it does when there is little to send, when it is cancelled, and when starting fails."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from pareta_batch.engine.planning import register_rows
from pareta_batch.errors import BatchBusy
from pareta_batch.ledger.ledger import Ledger
from pareta_batch.ledger.selection import RowSelection
from pareta_batch.members import Member, lead_members
from pareta_batch.run import run_with_members
from pareta_sandbox.testing import Sandbox, Status
from tests.batch.batches import batch_in, read_answers, run, until
from tests.batch.test_members import member_of, run_members


@pytest.fixture
def ledger(postgres_url: str) -> Iterator[Ledger]:
    opened = Ledger.open(postgres_url)
    yield opened
    opened.close()


async def fail(_: Sequence[Member]) -> None:
    raise OSError("no machine is free")


async def start_none(_: Sequence[Member]) -> None:
    """Return at once, as if every process had been killed."""


async def test_a_run_writes_its_answers_and_reports_the_sum_of_its_members(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, postgres_url: str
) -> None:
    rows: list[dict[str, object]] = [{"id": f"r{n}", "text": f"text {n % 20}"} for n in range(40)]
    batch = batch_in(tmp_path, rows, max_in_flight=4, shard_size=3)

    async def start(every: Sequence[Member]) -> None:
        await asyncio.gather(*(member_of(batch, sandbox, postgres_url, one) for one in every))

    report = await run_with_members(batch, ledger, 2, start)
    assert (report.status, report.settled, report.copied, report.distinct) == ("completed", 40, 20, 20)
    assert report.this_run is not None
    assert (report.this_run.sent, report.this_run.settled) == (20, 20)
    assert report.this_run.billed_micro_usd == report.billed_micro_usd == sandbox.books().debited_micro_usd
    assert all(row["answer"] for row in read_answers(batch))
    before = sandbox.books()
    again = await run_with_members(batch, ledger, 2, fail)
    assert (again.status, again.settled) == ("completed", 40), "nothing is started: nothing is missing"
    sandbox.silent_since(before)


@pytest.mark.long
async def test_more_members_than_slots_keep_the_limit(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, postgres_url: str
) -> None:
    batch = batch_in(tmp_path, 60, max_in_flight=2, shard_size=1)
    leading, _ = await run_members(batch, sandbox, ledger, postgres_url, members=4)
    assert leading.stop is None
    assert ledger.tally("test").settled == 60
    sandbox.never_more_in_flight_than(2)


async def test_a_cancelled_parent_stops_its_members_and_waits_for_their_answers(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, postgres_url: str
) -> None:
    sandbox.change(latency_ms=50)
    batch = batch_in(tmp_path, 300, max_in_flight=6)
    running = asyncio.create_task(run_members(batch, sandbox, ledger, postgres_url, members=2))
    await until(lambda: sandbox.books().completions >= 20, within_s=60)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert sandbox.books().in_flight == 0
    tally = ledger.tally("test")
    assert (tally.settled, tally.unknown) == (sandbox.books().completions, 0)
    assert tally.settled < 300
    assert (await run(batch, sandbox, ledger)).status == "completed"
    assert sandbox.books().replays == 0


async def test_an_error_of_the_start_is_raised_and_the_batch_is_free(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    batch = batch_in(tmp_path, 5)
    with pytest.raises(OSError, match="no machine is free"):
        await run_with_members(batch, ledger, 2, fail)
    assert (await run(batch, sandbox, ledger)).settled == 5


async def test_members_that_all_end_early_stop_the_run(tmp_path: Path, ledger: Ledger) -> None:
    batch = batch_in(tmp_path, 20, shard_size=5)
    report = await run_with_members(batch, ledger, 2, start_none)
    assert (report.status, report.stopped, report.pending) == ("stopped", "MembersLost", 20)
    assert report.stopped_message == "all members ended, and 20 shards are not done"


async def test_a_second_run_is_refused_while_members_work(tmp_path: Path, ledger: Ledger, postgres_url: str) -> None:
    batch = batch_in(tmp_path, 20)
    register_rows(batch, ledger)
    other = Ledger.open(postgres_url)
    async with lead_members(batch, ledger, 2):
        with pytest.raises(BatchBusy):
            await run_with_members(batch, other, 2, start_none)
    other.close()


@pytest.mark.long
async def test_failed_rows_are_sent_again_by_members(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, postgres_url: str
) -> None:
    sandbox.inject(Status(status=400, skip=10, times=4))
    batch = batch_in(tmp_path, 30, max_in_flight=4)
    leading, _ = await run_members(batch, sandbox, ledger, postgres_url, members=2)
    assert (leading.progress.settled, leading.progress.failed) == (26, 4)

    async def start(every: Sequence[Member]) -> None:
        await asyncio.gather(*(member_of(batch, sandbox, postgres_url, one) for one in every))

    async with lead_members(batch, ledger, 2, RowSelection(errors=("BadRequestError",))) as leading:
        await leading.work(start)
    assert (leading.progress.to_send, leading.progress.settled) == (4, 4)
    assert ledger.tally("test").settled == 30
    sandbox.completed(30)


async def test_a_member_that_is_started_twice_sends_no_row_twice(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, postgres_url: str
) -> None:
    sandbox.change(latency_ms=10)
    batch = batch_in(tmp_path, 100, max_in_flight=4)
    register_rows(batch, ledger)

    async def start(every: Sequence[Member]) -> None:
        await asyncio.gather(*(member_of(batch, sandbox, postgres_url, one) for one in (*every, *every)))

    async with lead_members(batch, ledger, 1) as leading:
        await leading.work(start)
    assert ledger.tally("test").settled == 100
    assert sandbox.books().replays == 0
    sandbox.never_more_in_flight_than(4)
    sandbox.debited_once()
