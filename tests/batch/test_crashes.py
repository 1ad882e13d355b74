"""kill -9 at any moment, and a run after it: the sandbox's books say that no row was paid for twice."""

import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pareta_batch.batch import Batch
from pareta_batch.enrolment import enrol
from pareta_batch.ledger import Ledger
from pareta_sandbox.pytest_plugin import SandboxFactory
from pareta_sandbox.testing import Sandbox
from tests.batch.batches import batch_in, run, until

ROWS = 120
IN_FLIGHT = 8
CLAIMED = IN_FLIGHT + 3  # those in flight, and those claimed to be sent next

RUN = """
import asyncio, resource, sys
from pareta_batch.batch import Batch
from pareta_batch.enrolment import enrol
from pareta_batch.ledger import Ledger
from pareta_batch.run import run_batch
from pareta_client import AsyncPareta

async def main():
    batch = Batch.model_validate_json(sys.argv[1])
    await run_batch(batch, AsyncPareta(api_key=sys.argv[2], base_url=sys.argv[3]), Ledger.open(sys.argv[4]))

if len(sys.argv) > 5:  # as a disk that is full when a file has grown so long
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[5]), resource.RLIM_INFINITY))
asyncio.run(main())
"""


async def killed_after(completions: int, batch: Batch, sandbox: Sandbox, ledger_url: str) -> None:
    """Run a batch in a process of its own and kill -9 it after so many completions."""
    arguments = [batch.model_dump_json(), sandbox.api_key, sandbox.base_url, ledger_url]
    process = subprocess.Popen([sys.executable, "-c", RUN, *arguments])  # noqa: ASYNC220 - nothing else runs here
    try:
        await until(lambda: sandbox.books().completions >= completions or process.poll() is not None, within_s=30)
        assert process.poll() is None, "it ended before it could be killed"
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    # What was on its way when the caller died is still answered.
    await until(lambda: sandbox.books().in_flight == 0)


@pytest.mark.parametrize("times", [3])
async def test_no_row_is_debited_twice_however_often_the_run_is_killed(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, times: int
) -> None:
    sandbox.change(latency_ms=20)
    batch = batch_in(tmp_path, ROWS, max_in_flight=IN_FLIGHT, shard_size=25)
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    done = 0
    for kills in range(1, times + 1):
        await killed_after(done + random.randint(1, 30), batch, sandbox, url)
        done = sandbox.books().completions
        tally = ledger.tally("test")
        assert tally.settled <= done <= tally.settled + tally.unknown, "what was paid is settled or known as unknown"
        assert tally.unknown <= CLAIMED * kills
    sandbox.change(latency_ms=0)
    report = await run(batch, sandbox, ledger)
    assert (report.status, report.settled, report.unknown) == ("completed", ROWS, 0)
    sandbox.completed(ROWS)
    sandbox.debited_once()
    assert report.billed_micro_usd is not None
    assert report.replayed_at_most_micro_usd is not None
    debited = sandbox.books().debited_micro_usd
    assert report.billed_micro_usd <= debited <= report.billed_micro_usd + report.replayed_at_most_micro_usd


async def test_a_service_without_idempotency_is_paid_twice_for_no_more_than_was_in_flight(
    tmp_path: Path, sandbox_factory: SandboxFactory, ledger: Ledger
) -> None:
    sandbox = sandbox_factory(idempotency=False, latency_ms=20)
    batch = batch_in(tmp_path, ROWS, max_in_flight=IN_FLIGHT)
    await killed_after(40, batch, sandbox, f"sqlite:///{tmp_path / 'ledger.db'}")
    unknown = ledger.tally("test").unknown
    report = await run(batch, sandbox, ledger)
    assert report.status == "completed"
    twice = sandbox.books().completions - ROWS
    assert twice <= IN_FLIGHT
    assert report.resent == unknown <= CLAIMED


async def test_a_disk_that_fills_up_stops_the_batch_and_a_later_run_pays_for_nothing_twice(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    sandbox.change(latency_ms=5)
    batch = batch_in(tmp_path, [{"id": n, "text": "My invoice is wrong. " * 40} for n in range(300)], max_in_flight=8)
    enrol(batch, ledger)
    ledger.close()
    longest = (tmp_path / "ledger.db").stat().st_size + 100_000
    arguments = [batch.model_dump_json(), sandbox.api_key, sandbox.base_url, f"sqlite:///{tmp_path / 'ledger.db'}"]
    ended = subprocess.run(  # noqa: ASYNC221 - nothing else runs here
        [sys.executable, "-c", RUN, *arguments, str(longest)], capture_output=True, text=True, timeout=60
    )
    assert "LedgerError: ledger sqlite:///" in ended.stderr
    completions, tally = sandbox.books().completions, ledger.tally("test")
    assert 0 < tally.settled < 300
    assert completions <= tally.settled + tally.unknown
    assert tally.unknown <= CLAIMED
    assert (await run(batch, sandbox, ledger)).status == "completed"
    sandbox.completed(300)
    sandbox.debited_once()
