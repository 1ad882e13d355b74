"""Members of a run: several processes on one batch, on PostgreSQL."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from pareta_batch.engine.planning import register_rows
from pareta_batch.errors import LedgerError
from pareta_batch.ledger.account_runs import AccountRuns
from pareta_batch.ledger.ledger import Ledger
from pareta_batch.members import Lead, Member, MemberReport, lead_members, work_as_member
from pareta_batch.rate_limit import Usage
from pareta_batch.sampling import Sampling
from pareta_batch.spec import Batch
from pareta_client import AsyncPareta
from pareta_sandbox.testing import Sandbox, Status
from tests.batch.batches import batch_in, ledger_in


@pytest.fixture
def ledger(postgres_url: str) -> Iterator[Ledger]:
    opened = Ledger.open(postgres_url)
    yield opened
    opened.close()


async def member_of(batch: Batch, sandbox: Sandbox, url: str, member: Member) -> MemberReport:
    """Work as a member on this event loop, with a ledger and a client of its own."""
    opened = Ledger.open(url)
    try:
        client = AsyncPareta(api_key=sandbox.api_key, base_url=sandbox.base_url)
        return await work_as_member(batch, client, opened, member)
    finally:
        opened.close()


async def run_members(
    batch: Batch, sandbox: Sandbox, ledger: Ledger, url: str, members: int = 3
) -> tuple[Lead, Sequence[MemberReport]]:
    """Run a batch with members on this event loop."""
    reports: list[MemberReport] = []

    async def start(every: Sequence[Member]) -> None:
        reports.extend(await asyncio.gather(*(member_of(batch, sandbox, url, one) for one in every)))

    register_rows(batch, ledger)
    async with lead_members(batch, ledger, members) as leading:
        await leading.work(start)
    return leading, reports


async def test_members_answer_each_row_once_and_all_of_them_work(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, postgres_url: str
) -> None:
    sandbox.change(latency_ms=20)
    batch = batch_in(tmp_path, 300, max_in_flight=12)
    leading, reports = await run_members(batch, sandbox, ledger, postgres_url)
    assert leading.stop is None
    assert all(report.counts.settled for report in reports)
    assert sum(report.counts.settled for report in reports) == 300
    assert ledger.tally("test").settled == 300
    sandbox.never_more_in_flight_than(12)
    sandbox.completed(300)
    sandbox.debited_once()
    assert (leading.progress.settled, leading.progress.snapshot().done) == (300, 300)


async def test_members_report_their_limiters_to_each_other(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    others: list[int] = []

    def exchange(runs: AccountRuns, own: Usage) -> list[Usage]:
        found = read(runs, own)
        others.append(len(found))
        return found

    read = AccountRuns.exchange
    monkeypatch.setattr(AccountRuns, "exchange", exchange)
    sandbox.change(latency_ms=20)
    batch = batch_in(tmp_path, 100, max_in_flight=4)
    await run_members(batch, sandbox, ledger, postgres_url, members=2)
    assert max(others) == 1, "each reads the other one"


async def test_members_need_postgresql(tmp_path: Path, sandbox: Sandbox) -> None:
    batch, books = batch_in(tmp_path, 3), ledger_in(tmp_path)
    register_rows(batch, books)
    with pytest.raises(LedgerError, match=r"SQLite serves one process; for more, set PARETA_LEDGER_URL to a Postgre"):
        async with lead_members(batch, books, 2):
            raise AssertionError("it is held")
    client = AsyncPareta(api_key=sandbox.api_key, base_url=sandbox.base_url)
    with pytest.raises(LedgerError, match="SQLite serves one process"):
        await work_as_member(batch, client, books, Member("run", 0))
    assert sandbox.books().completions == 0
    books.close()


@pytest.mark.long
async def test_eight_members_stay_below_the_ceiling_and_use_it(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, postgres_url: str
) -> None:
    sandbox.change(latency_ms=20)
    # An answer has up to 2 tokens: the bound of a request is 1.7 % of the ceiling.
    batch = batch_in(tmp_path, 400, max_in_flight=16, budget_usd=0.0017, sampling=Sampling(max_tokens=2))
    leading, _ = await run_members(batch, sandbox, ledger, postgres_url, members=8)
    assert leading.stop is not None
    assert leading.stop.reason == "BudgetReached"
    billed = sandbox.books().debited_micro_usd
    assert 1_700 * 0.98 <= billed <= 1_700
    sandbox.debited_once()


async def test_an_empty_balance_stops_every_member(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, postgres_url: str
) -> None:
    sandbox.change(latency_ms=20)
    batch = batch_in(tmp_path, 400, max_in_flight=12)
    sandbox.inject(Status(status=402, skip=100, times=1000))
    leading, reports = await run_members(batch, sandbox, ledger, postgres_url)
    assert leading.stop is not None
    assert leading.stop.reason == "InsufficientCreditsError"
    assert {report.stopped for report in reports} == {"InsufficientCreditsError"}
    assert sandbox.books().completions == 100
    assert sandbox.books().statuses[402] <= 12, "those in flight"
