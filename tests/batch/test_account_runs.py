"""Separate runs of one account on one ledger: they report to each other and share the account's limits."""

import asyncio
import json
import threading
import time
from collections.abc import Callable
from math import inf
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from pareta_batch.engine import account_exchange
from pareta_batch.engine.control import Controls, remote_control
from pareta_batch.engine.planning import register_rows
from pareta_batch.engine.session import open_session
from pareta_batch.ledger.account_runs import MAX_AGE_S, AccountRuns, account_digest
from pareta_batch.ledger.ledger import Ledger
from pareta_batch.ledger.run_tables import account_runs
from pareta_batch.rate_limit import Allocation, Usage
from pareta_batch.rate_limit.share import DemandMeter
from pareta_batch.run import complete_shards
from pareta_client import AsyncPareta
from pareta_sandbox.testing import RateLimit, Sandbox
from tests.batch.batches import batch_in, on_both_databases, until

KEY = "pareta_live_0123456789abcdef"


def runs_of(ledger: Ledger, run: str, account: str = "a" * 64) -> AccountRuns:
    return AccountRuns(ledger, account, run)


def reports(ledger: Ledger) -> int:
    with ledger.transaction() as db:
        return db.scalar(sa.select(sa.func.count()).select_from(account_runs)) or 0


@on_both_databases
def test_a_run_reads_the_reports_of_the_others_of_its_account(ledger: Ledger) -> None:
    first, second = runs_of(ledger, "1"), runs_of(ledger, "2")
    stranger = runs_of(ledger, "3", account="b" * 64)
    told = Usage(started=9, refused=1, pause_s=30.0, account_per_s=12.5, demand_per_s=inf)
    assert first.exchange(told) == []
    assert stranger.exchange(told) == []
    (read,) = second.exchange(Usage(0, 0, demand_per_s=2.0))
    assert 29 < read.pause_s <= 30
    assert (read.started, read.refused, read.account_per_s, read.demand_per_s) == (9, 1, 12.5, inf)
    assert [each.demand_per_s for each in first.exchange(told)] == [2.0]
    second.end()
    assert first.exchange(told) == []


@on_both_databases
def test_a_killed_run_counts_for_a_few_seconds_only(ledger: Ledger) -> None:
    killed, living = runs_of(ledger, "1"), runs_of(ledger, "2")
    killed.exchange(Usage(0, 0))
    with ledger.transaction() as db:
        db.execute(account_runs.update().values(reported_at=time.time() - MAX_AGE_S - 1))
    assert living.exchange(Usage(0, 0)) == []
    living.end()
    assert reports(ledger) == 0


@on_both_databases
def test_the_table_is_created_by_several_runs_at_once(ledger_url: str) -> None:
    async def create() -> None:
        opened = [Ledger.open(ledger_url) for _ in range(4)]
        try:
            await asyncio.gather(*(asyncio.to_thread(runs_of, ledger, str(n)) for n, ledger in enumerate(opened)))
        finally:
            for ledger in opened:
                ledger.close()

    asyncio.run(create())


def test_an_account_is_one_service_and_one_key() -> None:
    account = account_digest("https://api.pareta.ai", KEY)
    assert account == account_digest("https://api.pareta.ai", KEY)
    assert account != account_digest("https://api.pareta.ai", KEY + "0")
    assert account != account_digest("https://other.pareta.ai", KEY)
    assert KEY not in account


async def test_two_runs_of_one_account_work_at_half_of_its_rate_each(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DemandMeter, "demand_per_s", lambda *_: inf)  # as if they had rows to send
    batches = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        rows: list[dict[str, object]] = [{"id": n, "text": f"row {n} of {name}"} for n in range(3)]
        batches.append(batch_in(tmp_path / name, rows, name=name))
    clients = [AsyncPareta(api_key=sandbox.api_key, base_url=sandbox.base_url) for _ in batches]
    for batch in batches:
        register_rows(batch, ledger)
    async with open_session(batches[0], clients[0], ledger) as first:
        first.gate.allocate(Allocation(1.0, 40.0))  # as if it had learned the rate
        await until(lambda: _reported(ledger) == 40.0)
        async with open_session(batches[1], clients[1], ledger) as second:
            await until(lambda: second.gate.usage().account_per_s == pytest.approx(40.0))
            assert second.gate.limiter._rate.per_s == pytest.approx(20.0), "before its first call"
            await until(lambda: first.gate.limiter._rate.per_s == pytest.approx(20.0))
        await until(lambda: first.gate.limiter._rate.per_s == pytest.approx(40.0))
        assert reports(ledger) == 1
    assert reports(ledger) == 0
    with ledger.transaction() as db:
        assert sandbox.api_key not in json.dumps([list(map(str, row)) for row in db.execute(sa.select(account_runs))])


def _reported(ledger: Ledger) -> float | None:
    with ledger.transaction() as db:
        found: float | None = db.scalar(sa.select(account_runs.c.account_per_s))
        return found


async def test_a_pause_of_one_run_holds_the_calls_of_another(tmp_path: Path, sandbox: Sandbox, ledger: Ledger) -> None:
    batch = batch_in(tmp_path, 3)
    register_rows(batch, ledger)
    other = runs_of(ledger, "other", account_digest(sandbox.base_url, sandbox.api_key))
    other.exchange(Usage(5, 1, pause_s=60.0))
    client = AsyncPareta(api_key=sandbox.api_key, base_url=sandbox.base_url)
    async with open_session(batch, client, ledger) as session:
        await until(lambda: (session.gate.limiter.wait(time.monotonic()) or 0) > 50)
        session.stop_because("Enough", "the test has seen what it came for")
    assert sandbox.books().completions_seen == 0


async def test_a_ledger_that_cannot_exchange_stops_no_run(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account_exchange, "INTERVAL_S", 0.001)
    batch = batch_in(tmp_path, 20)
    plan = register_rows(batch, ledger)
    with ledger.transaction() as db:
        account_runs.drop(db)
    client = AsyncPareta(api_key=sandbox.api_key, base_url=sandbox.base_url)
    async with open_session(batch, client, ledger) as session:
        await complete_shards(session, plan.missing)
    assert ledger.tally(batch.name).settled == 20
    assert caplog.text.count("the other runs of its account cannot be read") == 1


async def complete_two(
    folder: Path, sandbox: Sandbox, ledger: Ledger, limit: RateLimit, *, rows_each: int, until_turns: bool = False
) -> tuple[tuple[int, ...], set[str]]:
    """Complete two batches at once under one limit; return their refused calls, and the runs that took turns.

    `until_turns`: stop both as soon as both take turns.
    """
    sandbox.change(latency_ms=20)
    sandbox.inject(limit)
    takes_turns: set[str] = set()

    async def complete(name: str) -> int:
        (folder / name).mkdir()
        rows: list[dict[str, object]] = [{"id": n, "text": f"row {n} of {name}"} for n in range(rows_each)]
        batch = batch_in(folder / name, rows, name=name, max_in_flight=16)
        plan = register_rows(batch, ledger)
        client = AsyncPareta(api_key=sandbox.api_key, base_url=sandbox.base_url)
        async with open_session(batch, client, ledger) as session:
            allocate = session.gate.allocate

            def noted(allocation: Allocation) -> None:
                takes_turns.update({name} if allocation.turn else ())
                if until_turns and len(takes_turns) == 2:
                    session.stop_because("Enough", "both take turns")
                allocate(allocation)

            session.gate.allocate = noted  # type: ignore[method-assign]  # it calls the method
            await complete_shards(session, plan.missing)
            return session.gate.limiter.refusals

    return await asyncio.gather(complete("one"), complete("two")), takes_turns


async def test_two_runs_share_a_limit_over_http(tmp_path: Path, sandbox: Sandbox, ledger: Ledger) -> None:
    limit = RateLimit(per_s=40, burst=10, retry_after="fractional")
    refused, _ = await complete_two(tmp_path, sandbox, ledger, limit, rows_each=120)
    assert sum(refused) < 60
    assert all(ledger.tally(name).settled == 120 for name in ("one", "two"))


async def test_two_runs_take_turns_at_a_bucket_of_one_token(tmp_path: Path, sandbox: Sandbox, ledger: Ledger) -> None:
    limit = RateLimit(per_s=40, burst=1, retry_after="fractional")
    _, takes_turns = await complete_two(tmp_path, sandbox, ledger, limit, rows_each=4_000, until_turns=True)
    assert takes_turns == {"one", "two"}
    sandbox.debited_once()


@on_both_databases
def test_all_runs_of_a_ledger_have_one_clock(ledger_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if not ledger_url.startswith("postgresql"):
        pytest.skip("SQLite serves one machine, with one clock")
    ledger = Ledger.open(ledger_url)
    try:
        here, there = runs_of(ledger, "1"), runs_of(ledger, "2")
        here.exchange(Usage(0, 0))
        now = time.time()
        monkeypatch.setattr(time, "time", lambda: now + 3_600)
        there.exchange(Usage(0, 0))
        assert abs(there.clock_s - here.clock_s) < 30
    finally:
        ledger.close()


@on_both_databases
@pytest.mark.parametrize("ahead_s", [0.5, 5.0, 3_600.0])
def test_a_clock_that_is_ahead_does_not_pause_the_other_runs(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, ahead_s: float
) -> None:
    there, here = runs_of(ledger, "1"), runs_of(ledger, "2")
    now = time.time()
    for pause_s in (0.0, 2.0):
        monkeypatch.setattr(time, "time", lambda: now + ahead_s)
        there.exchange(Usage(0, 0, pause_s=pause_s))
        monkeypatch.setattr(time, "time", lambda: now)
        assert [each.pause_s for each in here.exchange(Usage(0, 0))] == [pytest.approx(pause_s, abs=1e-3)]


@pytest.mark.parametrize("method", ["exchange", "end"])
async def test_an_unexpected_error_of_the_exchange_stops_no_run(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    def fails(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(AccountRuns, method, fails)
    batch = batch_in(tmp_path, 3)
    plan = register_rows(batch, ledger)
    client = AsyncPareta(api_key=sandbox.api_key, base_url=sandbox.base_url)
    async with open_session(batch, client, ledger) as session:
        await complete_shards(session, plan.missing)
    assert ledger.tally(batch.name).settled == 3


async def test_an_exchange_in_progress_leaves_no_report_of_an_ended_run(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account_exchange, "INTERVAL_S", 0.001)
    late, ending, done = threading.Event(), threading.Event(), threading.Event()
    exchange, end = AccountRuns.exchange, AccountRuns.end

    def slow(self: AccountRuns, own: Usage) -> list[Usage]:
        if reports(ledger) == 0:
            return exchange(self, own)
        late.set()
        ending.wait(0.3)
        try:
            return exchange(self, own)
        finally:
            done.set()

    def signalling_end(self: AccountRuns) -> None:
        end(self)
        ending.set()

    monkeypatch.setattr(AccountRuns, "exchange", slow)
    monkeypatch.setattr(AccountRuns, "end", signalling_end)
    batch = batch_in(tmp_path, 3)
    register_rows(batch, ledger)
    client = AsyncPareta(api_key=sandbox.api_key, base_url=sandbox.base_url)
    async with open_session(batch, client, ledger):
        await until(late.is_set)
    assert done.wait(timeout=30)
    assert reports(ledger) == 0


@pytest.mark.parametrize("writer", [AccountRuns, Controls])
async def test_the_end_of_a_run_waits_for_the_ledger_off_the_event_loop(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, writer: Any
) -> None:
    ticked = threading.Event()
    ended: list[bool] = []
    end: Callable[[Any], None] = writer.end

    def waits(self: Any) -> None:
        loop.call_soon_threadsafe(ticked.set)
        ended.append(ticked.wait(30))  # the event loop sets it
        end(self)

    monkeypatch.setattr(writer, "end", waits)
    loop, batch = asyncio.get_running_loop(), batch_in(tmp_path, 3)
    register_rows(batch, ledger)
    client = AsyncPareta(api_key=sandbox.api_key, base_url=sandbox.base_url)
    async with open_session(batch, client, ledger) as session, remote_control(session, ledger):
        pass
    assert ended == [True]
