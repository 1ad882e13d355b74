"""kill -9 at any moment, and a run after it: the sandbox's books say that no row was paid for twice."""

import asyncio
import random
from pathlib import Path

import pytest

from pareta_batch.engine.planning import register_rows
from pareta_batch.ledger.ledger import Ledger
from pareta_batch.spec import Batch
from pareta_sandbox.pytest_plugin import SandboxFactory
from pareta_sandbox.testing import Sandbox, running
from tests.batch.batches import batch_in, mostly_on_sqlite, run, until
from tests.batch.processes import EXITS, running_elsewhere

ROWS = 300
IN_FLIGHT = 8
CLAIMED = IN_FLIGHT + 3  # those in flight, and those claimed to be sent next


async def killed_after(completions: int, batch: Batch, sandbox: Sandbox, ledger_url: str) -> None:
    """Run a batch in a process of its own and kill -9 it after so many completions."""
    with running_elsewhere(batch, sandbox, ledger_url) as process:
        await until(lambda: sandbox.books().completions >= completions or not process.is_alive(), within_s=60)
        assert process.is_alive(), "it ended before it could be killed"
    # What was on its way when the caller died is still answered.
    await until(lambda: sandbox.books().in_flight == 0)


@pytest.mark.parametrize("kills", [5, pytest.param(20, marks=pytest.mark.long)])
@mostly_on_sqlite
async def test_no_row_is_debited_twice_however_often_the_run_is_killed(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, ledger_url: str, kills: int
) -> None:
    sandbox.change(latency_ms=20)
    batch = batch_in(tmp_path, ROWS, max_in_flight=IN_FLIGHT, shard_size=25)
    done = 0
    for killed in range(1, kills + 1):
        await killed_after(done + random.randint(0, 12), batch, sandbox, ledger_url)
        done = sandbox.books().completions
        tally = ledger.tally("test")
        assert tally.settled <= done <= tally.settled + tally.unknown, "what was paid is settled or known as unknown"
        assert tally.unknown <= CLAIMED * killed
    sandbox.change(latency_ms=0)
    report = await run(batch, sandbox, ledger)
    assert (report.status, report.settled, report.unknown) == ("completed", ROWS, 0)
    sandbox.completed(ROWS)
    sandbox.debited_once()
    assert report.billed_micro_usd is not None
    assert report.replayed_at_most_micro_usd is not None
    debited = sandbox.books().debited_micro_usd
    assert report.billed_micro_usd <= debited <= report.billed_micro_usd + report.replayed_at_most_micro_usd


@mostly_on_sqlite
async def test_a_service_without_idempotency_is_paid_twice_for_no_more_than_was_in_flight(
    tmp_path: Path, sandbox_factory: SandboxFactory, ledger: Ledger, ledger_url: str
) -> None:
    sandbox = sandbox_factory(idempotency=False, latency_ms=20)
    batch = batch_in(tmp_path, 120, max_in_flight=IN_FLIGHT)
    await killed_after(40, batch, sandbox, ledger_url)
    unknown = ledger.tally("test").unknown
    report = await run(batch, sandbox, ledger)
    assert report.status == "completed"
    twice = sandbox.books().completions - 120
    assert twice <= IN_FLIGHT
    assert report.resent == unknown <= CLAIMED


@mostly_on_sqlite
async def test_of_two_runs_begun_at_once_one_is_refused_and_nothing_is_paid_twice(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, ledger_url: str
) -> None:
    sandbox.change(latency_ms=20)
    batch = batch_in(tmp_path, 120, max_in_flight=IN_FLIGHT)
    with (
        running_elsewhere(batch, sandbox, ledger_url) as one,
        running_elsewhere(batch, sandbox, ledger_url) as other,
    ):
        await until(lambda: not one.is_alive() and not other.is_alive(), within_s=60)
    assert sorted([one.exitcode, other.exitcode], key=str) == [0, EXITS["BatchBusy"]]
    sandbox.completed(120)
    sandbox.debited_once()
    sandbox.never_more_in_flight_than(IN_FLIGHT)


async def test_a_disk_that_fills_up_stops_the_batch_and_a_later_run_pays_for_nothing_twice(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, ledger_url: str
) -> None:
    sandbox.change(latency_ms=5)
    batch = batch_in(
        tmp_path, [{"id": n, "text": f"My invoice {n} is wrong. " * 40} for n in range(300)], max_in_flight=8
    )
    register_rows(batch, ledger)
    ledger.close()
    longest = (tmp_path / "ledger.db").stat().st_size + 100_000
    with running_elsewhere(batch, sandbox, ledger_url, longest) as process:
        await until(lambda: not process.is_alive(), within_s=60)
    assert process.exitcode == EXITS["LedgerError"]
    completions, tally = sandbox.books().completions, ledger.tally("test")
    assert 0 < tally.settled < 300
    assert completions <= tally.settled + tally.unknown
    assert tally.unknown <= CLAIMED
    assert (await run(batch, sandbox, ledger)).status == "completed"
    sandbox.completed(300)
    sandbox.debited_once()


@mostly_on_sqlite
async def test_a_service_that_is_restarted_in_mid_batch_answers_the_rest_and_debits_no_row_twice(
    tmp_path: Path, ledger: Ledger
) -> None:
    batch = batch_in(tmp_path, 120, max_in_flight=IN_FLIGHT)
    journal = tmp_path / "journal.db"
    with running(journal=journal, latency_ms=20) as sandbox:
        under_way = asyncio.create_task(run(batch, sandbox, ledger))
        await until(lambda: sandbox.books().completions >= 30)
        port = int(sandbox.base_url.rpartition(":")[2])
    with running(journal=journal, port=port) as sandbox:
        report = await under_way
        assert (report.status, report.settled) == ("completed", 120)
        assert len(sandbox.books().debits) == 120, "of before and after"
        sandbox.debited_once()
