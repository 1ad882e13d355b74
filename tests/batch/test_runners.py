"""Runners: what is checked before anything is sent, and members as processes of this machine."""

import asyncio
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from pareta_batch.errors import LedgerError, RunnerUnavailable
from pareta_batch.ledger.ledger import Ledger
from pareta_batch.members import Member
from pareta_batch.report import BatchReport
from pareta_batch.run import run_with_members
from pareta_batch.runners.checks import check_runner
from pareta_batch.runners.job import KeyClient, MemberJob
from pareta_batch.runners.on_this_machine import SPAWN, run_on_this_machine
from pareta_batch.spec import Batch
from pareta_client import ParetaError
from pareta_sandbox.testing import Sandbox
from tests.batch.batches import batch_in, ledger_in, until

CONTRADICTIONS = {
    "no process": ({"processes": 0}, "greater than or equal to 1"),
    "an unknown runner": ({"runner": "slurm"}, "'local', 'pool', 'ray' or 'dask'"),
    "a cluster without its runner": ({"cluster": "ray://head:10001"}, "needs runner: ray or runner: dask"),
    "a cluster of a pool": ({"cluster": "tcp://s:8786", "runner": "pool"}, "needs runner: ray or runner: dask"),
    "an empty cluster": ({"cluster": "", "runner": "ray"}, "at least 1 character"),
    "more processes than calls": ({"processes": 5, "max_in_flight": 4}, "lower processes, or raise max_in_flight"),
}


@pytest.mark.parametrize(("fields", "words"), CONTRADICTIONS.values(), ids=CONTRADICTIONS.keys())
def test_fields_that_contradict_each_other_are_refused(tmp_path: Path, fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        batch_in(tmp_path, **fields)


@pytest.mark.parametrize("fields", [{"processes": 2}, {"runner": "pool"}, {"processes": 2, "runner": "pool"}])
def test_a_ledger_on_sqlite_serves_one_process(tmp_path: Path, fields: dict[str, Any]) -> None:
    ledger = ledger_in(tmp_path)
    with pytest.raises(LedgerError, match=r"ledger\.db on SQLite serves one process; .* PostgreSQL"):
        check_runner(batch_in(tmp_path, **fields), ledger)
    check_runner(batch_in(tmp_path), ledger)
    ledger.close()


@pytest.mark.parametrize(("runner", "package"), [("ray", "ray"), ("dask", "distributed")])
def test_a_runner_that_is_not_installed_names_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runner: str, package: str
) -> None:
    monkeypatch.setattr("pareta_batch.runners.checks.find_spec", lambda name: None if name == package else name)
    ledger = ledger_in(tmp_path)
    with pytest.raises(RunnerUnavailable, match=rf"package {package} is not installed; .*\[{runner}\]"):
        check_runner(batch_in(tmp_path, runner=runner), ledger)
    ledger.close()


UNGUARDED = """
from pathlib import Path
from pareta_batch import LedgerError
from pareta_batch.runners.checks import check_runner
from pareta_batch.runners.on_this_machine import SPAWN
from tests.batch.batches import batch_in, ledger_in

folder = Path({folder!r})
try:
    check_runner(batch_in(folder, processes=2), ledger_in(folder))
except LedgerError:
    member = SPAWN.Process(target=str)  # imports this script, which calls again
    member.start()
    member.join()
"""


def test_a_script_that_calls_without_a_main_guard_is_told_so(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(UNGUARDED.format(folder=str(tmp_path)))
    command = [sys.executable, str(script)]
    ran = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "RunnerUnavailable: processes 2: " in ran.stderr
    assert 'put the call under if __name__ == "__main__":' in ran.stderr


def test_a_job_shows_neither_the_key_nor_the_password_of_the_ledger(tmp_path: Path) -> None:
    ledger = ledger_in(tmp_path)
    url = ledger.url.set(
        drivername="postgresql", username="u", password="pass-word", host="h", query={"p": "pass-word"}
    )
    job = MemberJob(batch_in(tmp_path), Member("run", 0), url, KeyClient("pareta_sk_secret", "http://127.0.0.1:1"))
    assert "pass-word" not in f"{job}{job!r}"
    assert "pareta_sk_secret" not in f"{job}{job!r}"
    assert pickle.loads(pickle.dumps(job)) == job
    ledger.close()


@pytest.fixture
def ledger(postgres_url: str) -> Iterator[Ledger]:
    opened = Ledger.open(postgres_url)
    yield opened
    opened.close()


def processes() -> list[int]:
    """Return the ids of the members of this process that live."""
    children = SPAWN.active_children()
    return [child.pid for child in children if child.pid and child.name.startswith("member-")]


async def run_on_this_machinely(batch: Batch, sandbox: Sandbox, ledger: Ledger, key: str | None = None) -> BatchReport:
    """Run a batch with its members as processes of this machine."""
    client = KeyClient(sandbox.api_key if key is None else key, sandbox.base_url)

    async def start(members: Sequence[Member]) -> None:
        await run_on_this_machine([MemberJob(batch, member, ledger.url, client) for member in members])

    return await run_with_members(batch, ledger, batch.processes, start)


@pytest.mark.long
async def test_a_killed_member_is_reported_and_the_others_send_its_rows(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.change(latency_ms=50)
    # If it is alone when it is killed it has all slots: they stay withheld for the timeout of its calls.
    batch = batch_in(tmp_path, 400, max_in_flight=12, processes=3, timeout_s=15)
    running = asyncio.ensure_future(run_on_this_machinely(batch, sandbox, ledger))
    await until(lambda: sandbox.books().completions >= 60, within_s=90)
    os.kill(processes()[0], signal.SIGKILL)
    report = await running
    assert (report.settled, report.pending, report.stopped) == (400, 0, None)
    assert "was ended by SIGKILL; the others send its rows" in caplog.text
    sandbox.completed(400)
    sandbox.debited_once()
    sandbox.never_more_in_flight_than(12)
    assert processes() == []


@pytest.mark.long
async def test_out_of_credit_and_a_cancelled_run_end_every_member(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    sandbox.change(latency_ms=30)
    sandbox.set_balance("0.0005")
    batch = batch_in(tmp_path, 600, max_in_flight=8, processes=2)
    report = await run_on_this_machinely(batch, sandbox, ledger)
    assert report.stopped == "InsufficientCreditsError"
    assert sandbox.books().statuses[402] <= 8
    assert processes() == []
    sandbox.set_balance(10)
    before = sandbox.books().completions
    running = asyncio.ensure_future(run_on_this_machinely(batch, sandbox, ledger))
    await until(lambda: sandbox.books().completions >= before + 20, within_s=90)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert processes() == []
    assert ledger.tally("test").settled == sandbox.books().completions
    sandbox.debited_once()


async def test_an_error_of_every_member_is_that_of_the_run(tmp_path: Path, sandbox: Sandbox, ledger: Ledger) -> None:
    with pytest.raises(ParetaError, match="missing API key"):
        await run_on_this_machinely(batch_in(tmp_path, 20, processes=2), sandbox, ledger, key="")
    assert processes() == []
