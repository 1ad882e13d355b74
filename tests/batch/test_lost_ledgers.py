"""A ledger that goes away under a run: nothing more is sent, and no answer that was paid for is lost or paid twice."""

import asyncio
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import psycopg
import pytest

from pareta_batch.answers import write_answers
from pareta_batch.engine.planning import register_rows
from pareta_batch.errors import BatchBusy, LedgerError
from pareta_batch.ledger.ledger import Ledger
from pareta_batch.ledger.timing import Timing
from pareta_batch.ledger.writes import LedgerWrites
from pareta_batch.report import BatchReport
from pareta_batch.spec import Batch
from pareta_sandbox.pytest_plugin import SandboxFactory
from pareta_sandbox.testing import Sandbox
from tests.batch import postgres
from tests.batch.batches import answered, batch_in, read_answers, run, until
from tests.grids import extremes, first_of

ROWS = 200
IN_FLIGHT = 8
CLAIMED = IN_FLIGHT + 3  # those in flight, and those claimed to be sent next

OVERWRITE = "import sys; open(sys.argv[1], 'wb').write(sys.stdin.buffer.read())"
"""A program that writes its input into a file, whose inode stays; this process keeps its locks on it."""

LOCK_HOLDERS = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND mode = 'ExclusiveLock' AND granted"


class Killer:
    """Ends connections to one database from the server's side."""

    def __init__(self, url: str) -> None:
        self._url = url

    def kill(self, which: str) -> int:
        """End the connections whose pid the query selects, but not this one; return their number."""
        with psycopg.connect(self._url, autocommit=True) as db:
            ended = f"SELECT pg_terminate_backend(pid, 30000) FROM ({which}) AS found WHERE pid <> pg_backend_pid()"
            return len(db.execute(ended.encode()).fetchall())


@pytest.fixture
def killer(postgres_url: str) -> Killer:
    return Killer(postgres_url)


@pytest.fixture
def on_postgres(postgres_url: str) -> Iterator[Ledger]:
    opened = Ledger.open(postgres_url)
    yield opened
    opened.close()


async def under_way(batch: Batch, sandbox: Sandbox, ledger: Ledger) -> "asyncio.Task[BatchReport]":
    """Start a run, and wait until a part of its rows is answered."""
    sandbox.change(latency_ms=10)
    running = asyncio.create_task(run(batch, sandbox, ledger))
    await until(lambda: sandbox.books().completions >= 40 or running.done(), within_s=60)
    assert not running.done()
    return running


def stopped_by_the_ledger(report: BatchReport, why: str) -> None:
    assert (report.status, report.stopped) == ("stopped", "LedgerError")
    assert why in (report.stopped_message or "")


async def completed_by_the_next(batch: Batch, sandbox: Sandbox, ledger: Ledger) -> None:
    assert (await run(batch, sandbox, ledger)).status == "completed"
    sandbox.completed(ROWS)
    sandbox.debited_once()


async def test_a_run_that_lost_its_lock_stops_before_it_claims_more(
    tmp_path: Path, sandbox: Sandbox, on_postgres: Ledger, killer: Killer
) -> None:
    batch = batch_in(tmp_path, ROWS, max_in_flight=IN_FLIGHT)
    running = await under_way(batch, sandbox, on_postgres)
    assert await asyncio.to_thread(killer.kill, LOCK_HOLDERS) == 1
    before = sandbox.books().completions_seen
    report = await running
    stopped_by_the_ledger(report, "the lock of batch 'test' was lost (its connection to the server broke)")
    assert sandbox.books().completions_seen - before <= CLAIMED
    assert sandbox.books().completions == report.settled < ROWS, "all that was paid is settled"
    assert sum(row["answer"] is not None for row in read_answers(batch)) == report.settled
    await completed_by_the_next(batch, sandbox, on_postgres)


async def test_a_second_run_that_gets_the_lost_lock_sends_again_no_more_than_was_claimed(
    tmp_path: Path, sandbox_factory: SandboxFactory, on_postgres: Ledger, postgres_url: str, killer: Killer
) -> None:
    sandbox = sandbox_factory(idempotency=False)
    batch = batch_in(tmp_path, ROWS, max_in_flight=IN_FLIGHT)
    running = await under_way(batch, sandbox, on_postgres)
    killer.kill(LOCK_HOLDERS)
    other = Ledger.open(postgres_url)
    second = await run(batch, sandbox, other)
    stopped_by_the_ledger(await running, "the lock of batch 'test' was lost")
    assert (second.status, second.settled) == ("completed", ROWS)
    assert ROWS <= sandbox.books().completions <= ROWS + CLAIMED
    other.close()


async def test_a_run_goes_on_when_connections_break_that_do_not_hold_its_lock(
    tmp_path: Path, sandbox: Sandbox, on_postgres: Ledger, killer: Killer
) -> None:
    batch = batch_in(tmp_path, ROWS, max_in_flight=IN_FLIGHT)
    running = await under_way(batch, sandbox, on_postgres)
    others = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() EXCEPT ALL " + LOCK_HOLDERS
    for _ in range(3):
        killer.kill(others)
        seen = sandbox.books().completions
        await until(lambda seen=seen: sandbox.books().completions > seen or running.done(), within_s=30)  # type: ignore[misc]
    assert (await running).status == "completed"
    sandbox.completed(ROWS)
    sandbox.debited_once()


async def test_a_server_that_is_restarted_stops_the_run_and_what_was_paid_is_settled(
    tmp_path: Path, sandbox: Sandbox, on_postgres: Ledger, postgres_server: postgres.Server
) -> None:
    batch = batch_in(tmp_path, ROWS, max_in_flight=IN_FLIGHT)
    running = await under_way(batch, sandbox, on_postgres)
    await asyncio.to_thread(postgres_server.stop)
    await until(lambda: sandbox.books().in_flight == 0, within_s=30)
    await asyncio.to_thread(postgres_server.start)
    report = await running
    stopped_by_the_ledger(report, "the lock of batch 'test' was lost")
    assert sandbox.books().completions == report.settled
    assert sum(row["answer"] is not None for row in read_answers(batch)) == report.settled
    await completed_by_the_next(batch, sandbox, on_postgres)


async def test_a_server_that_stays_away_ends_the_run_within_bounds_and_what_was_lost_is_counted(
    tmp_path: Path,
    sandbox: Sandbox,
    on_postgres: Ledger,
    postgres_url: str,
    postgres_server: postgres.Server,
) -> None:
    impatient = Ledger.open(postgres_url, Timing(reconnect_s=0.5))
    batch = batch_in(tmp_path, ROWS, max_in_flight=IN_FLIGHT)
    running = await under_way(batch, sandbox, impatient)
    try:
        await asyncio.to_thread(postgres_server.stop)
        with pytest.raises(
            LedgerError, match=r"(?s)\d+ outcomes, which may be paid.*at the end of the run: ledger postgresql"
        ):
            await running
    finally:
        await asyncio.to_thread(postgres_server.start)
        impatient.close()
    assert sandbox.books().completions <= on_postgres.tally("test").settled + CLAIMED
    await completed_by_the_next(batch, sandbox, on_postgres)


def test_claims_are_refused_once_another_run_has_the_lock_and_outcomes_are_not(
    tmp_path: Path, on_postgres: Ledger, postgres_url: str, killer: Killer
) -> None:
    register_rows(batch_in(tmp_path), on_postgres)
    one, other_row, _ = on_postgres.missing("test", 0, 10)
    second = Ledger.open(postgres_url)
    with on_postgres.lease("test"):
        on_postgres.write("test", LedgerWrites(claims=[one]))
        with pytest.raises(BatchBusy, match=r"process \d+ on "), second.lease("test"):
            raise AssertionError("both hold it")
        killer.kill(LOCK_HOLDERS)
        with second.lease("test"):
            with pytest.raises(LedgerError, match=r"was lost \(it is held by process \d+ on .*\); check the server"):
                on_postgres.write("test", LedgerWrites(claims=[other_row]))
            on_postgres.write("test", LedgerWrites(outcomes=[answered(one.key, one.fingerprint)]))
            with pytest.raises(LedgerError, match="was lost"):
                enrol_again(tmp_path, on_postgres)
            second.write("test", LedgerWrites(claims=[other_row]))
    tally = second.tally("test")
    assert (tally.settled, tally.unknown) == (1, 1)
    second.close()


def enrol_again(folder: Path, ledger: Ledger) -> None:
    from pareta_batch.rows.requests import row_requests

    ledger.register_rows("test", row_requests(batch_in(folder)))


def test_a_run_that_gets_a_lost_lock_waits_for_the_claims_that_are_just_written(
    on_postgres: Ledger, postgres_url: str, killer: Killer
) -> None:
    second = Ledger.open(postgres_url)
    acquired = threading.Event()

    def acquire() -> None:
        with second.lease("test"):
            acquired.set()

    with on_postgres.lease("test"), on_postgres.transaction() as claims:
        assert on_postgres._leases["test"](claims) is None
        killer.kill(LOCK_HOLDERS)
        waiting = threading.Thread(target=acquire)
        waiting.start()
        blocked = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        with psycopg.connect(postgres_url, autocommit=True) as db:
            while not db.execute(blocked.encode()).fetchall():
                assert not acquired.is_set(), "claims of two runs may cross"
    waiting.join()
    assert acquired.is_set()
    second.close()


async def test_behind_a_pooler_in_transaction_mode_the_lock_excludes_and_its_loss_is_noticed(
    tmp_path: Path, sandbox: Sandbox, postgres_server: postgres.Server, postgres_url: str, killer: Killer
) -> None:
    batch = batch_in(tmp_path, ROWS, max_in_flight=IN_FLIGHT)
    with postgres.pooler(postgres_server, postgres_url, tmp_path) as pooled:
        first, second = Ledger.open(pooled), Ledger.open(pooled)
        running = await under_way(batch, sandbox, first)
        with pytest.raises(BatchBusy), second.lease("test"):
            raise AssertionError("both hold it")
        await asyncio.to_thread(killer.kill, LOCK_HOLDERS)
        stopped_by_the_ledger(await running, "the lock of batch 'test' was lost")
        await completed_by_the_next(batch, sandbox, second)
        first.close()
        second.close()


def test_the_lock_of_a_killed_process_is_waited_for_until_the_server_has_noticed(
    on_postgres: Ledger, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    second = Ledger.open(postgres_url)
    with ExitStack() as held:
        with monkeypatch.context() as patch:
            patch.setattr(os, "getpid", lambda: ended.pid)
            held.enter_context(on_postgres.lease("test"))
        threading.Timer(0.3, held.pop_all().close).start()  # the server notices
        with second.lease("test"):
            pass
        with monkeypatch.context() as patch:
            patch.setattr(os, "getpid", lambda: ended.pid)
            held.enter_context(on_postgres.lease("test"))
        impatient = held.enter_context(closing(Ledger.open(postgres_url, Timing(dead_owner_s=0.2))))
        with pytest.raises(BatchBusy, match=f"process {ended.pid} on"), impatient.lease("test"):
            raise AssertionError("both hold it")
    second.close()


@pytest.mark.parametrize("how", extremes(["deleted", "moved", "replaced"]))
async def test_a_ledger_file_that_goes_away_stops_the_run_and_what_could_not_be_written_is_counted(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, how: str
) -> None:
    batch = batch_in(tmp_path, ROWS, max_in_flight=IN_FLIGHT)
    register_rows(batch, ledger)
    file, backup = tmp_path / "ledger.db", tmp_path / "backup.db"
    with closing(sqlite3.connect(file)) as db, closing(sqlite3.connect(backup)) as copy:
        db.backup(copy)
    running = await under_way(batch, sandbox, ledger)
    match how:
        case "deleted":
            file.unlink()
        case "moved":
            file.replace(tmp_path / "moved.db")
        case "replaced":
            backup.replace(file)
    before = sandbox.books().completions_seen
    report = await running
    stopped_by_the_ledger(report, f"the file was {how}")
    assert sandbox.books().completions_seen - before <= CLAIMED
    lost = sandbox.books().completions - report.settled
    assert 0 < lost <= CLAIMED
    assert f"; {lost} outcomes, which may be paid answers, could not be written" in (report.stopped_message or "")
    assert sum(row["answer"] is not None for row in read_answers(batch)) == report.settled
    assert file.exists() == (how == "replaced"), "no empty ledger in its place"
    ledger.close()
    if how == "moved":
        (tmp_path / "moved.db").replace(file)
    elif how == "deleted":
        backup.replace(file)
    restored = Ledger.open(f"sqlite:///{file}")
    assert restored.tally("test").settled == (report.settled if how == "moved" else 0)
    with restored.transaction() as check:
        assert check.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
    await completed_by_the_next(batch, sandbox, restored)
    restored.close()


@pytest.mark.parametrize("how", first_of(["replaced", "deleted"]))
async def test_a_log_that_goes_away_stops_the_run_and_what_was_settled_is_kept(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, how: str
) -> None:
    batch = batch_in(tmp_path, ROWS, max_in_flight=IN_FLIGHT)
    running = await under_way(batch, sandbox, ledger)
    (tmp_path / "ledger.db-wal").unlink()
    if how == "replaced":
        (tmp_path / "ledger.db-wal").touch()
    before = sandbox.books().completions_seen
    report = await running
    stopped_by_the_ledger(report, "write-ahead log (-wal) was deleted or replaced")
    assert sandbox.books().completions_seen - before <= CLAIMED
    assert sum(row["answer"] is not None for row in read_answers(batch)) == report.settled > 0
    ledger.close()
    reopened = Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}")
    with reopened.transaction() as check:
        assert check.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
    await completed_by_the_next(batch, sandbox, reopened)
    reopened.close()


@pytest.mark.parametrize("size", extremes(["backup", "empty", "no database"]))
async def test_a_file_that_is_overwritten_in_place_stops_the_run_and_no_answers_are_read_from_it(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, size: str
) -> None:
    batch = batch_in(tmp_path, ROWS, max_in_flight=IN_FLIGHT)
    register_rows(batch, ledger)
    backup = tmp_path / "backup.db"
    if size == "backup":
        with closing(sqlite3.connect(tmp_path / "ledger.db")) as db, closing(sqlite3.connect(backup)) as copy:
            db.backup(copy)
    else:
        backup.write_bytes(b"" if size == "empty" else bytes(100_000))
    running = await under_way(batch, sandbox, ledger)
    # The inode stays. In another process, which does not take the locks of this one away.
    copying = await asyncio.create_subprocess_exec("cp", backup, tmp_path / "ledger.db")
    assert await copying.wait() == 0
    before = sandbox.books().completions_seen
    with pytest.raises(LedgerError, match=r"was overwritten while a run used it.*at the end of the run: .*overwritten"):
        await running
    assert sandbox.books().completions_seen - before <= CLAIMED
    assert not batch.output_path.exists()


@pytest.mark.parametrize("content", extremes(["backup", "empty", "no database"]))
def test_each_read_of_an_overwritten_file_ends_with_the_reason(tmp_path: Path, content: str) -> None:
    batch = batch_in(tmp_path, 40)
    file, backup = tmp_path / "ledger.db", tmp_path / "backup.db"
    ledger = Ledger.open(f"sqlite:///{file}")
    register_rows(batch, ledger)
    with closing(sqlite3.connect(file)) as db, closing(sqlite3.connect(backup)) as copy:
        db.backup(copy)
    with ledger.lease(batch.name):
        rows = ledger.missing(batch.name, 0, 40)
        ledger.record(batch.name, [answered(row.key, row.fingerprint) for row in rows])
        new = {"backup": backup.read_bytes(), "empty": b"", "no database": bytes(200_000)}[content]
        subprocess.run([sys.executable, "-c", OVERWRITE, str(file)], input=new, check=True)
        for read in (
            lambda: write_answers(batch, ledger),
            lambda: ledger.tally(batch.name),
            lambda: ledger.batches(),
            lambda: list(ledger.missing(batch.name, 0, 40)),
            lambda: ledger.has_any(batch.name, "answer"),
            lambda: register_rows(batch, ledger),
        ):
            with pytest.raises(LedgerError, match=r"^ledger sqlite:.*the file was overwritten while a run used it"):
                read()
    assert not batch.output_path.exists()
    ledger.close()


def test_a_file_that_is_overwritten_while_a_transaction_reads_it_ends_the_transaction(tmp_path: Path) -> None:
    file = tmp_path / "ledger.db"
    ledger = Ledger.open(f"sqlite:///{file}")
    with ledger.lease("test"), pytest.raises(LedgerError, match="was overwritten"), ledger.transaction():
        subprocess.run([sys.executable, "-c", OVERWRITE, str(file)], input=b"", check=True)
    ledger.close()


def test_runs_of_several_batches_at_once_are_not_taken_for_a_restored_backup(tmp_path: Path, ledger: Ledger) -> None:
    second = Ledger.open(f"sqlite:///{tmp_path}/ledger.db")
    for _ in range(3):
        with ledger.lease("one"), second.lease("other"):
            ledger.record("one", [])
            second.record("other", [])
    second.close()


def test_a_claim_of_a_row_that_is_not_in_the_ledger_any_more_is_refused(tmp_path: Path, ledger: Ledger) -> None:
    register_rows(batch_in(tmp_path), ledger)
    asks = list(ledger.missing("test", 0, 10))
    with ledger.transaction() as db:
        db.exec_driver_sql("DELETE FROM rows WHERE key = 'r1'")
    with pytest.raises(LedgerError, match="1 of 3 rows about to be sent are no longer in the ledger"):
        ledger.write("test", LedgerWrites(claims=asks))
    assert ledger.tally("test").unknown == 0
