"""Members claim rows ahead and write in groups: what a stop, a kill and a lost lock leave in the ledger."""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from pareta_batch.engine.planning import register_rows
from pareta_batch.errors import LedgerError
from pareta_batch.ledger import join_run
from pareta_batch.ledger.advisory_lock import lock_until_commit, locks_of
from pareta_batch.ledger.ledger import Ledger
from pareta_batch.ledger.schema import rows
from pareta_batch.ledger.writes import LedgerWrites
from pareta_batch.members import Lead, Member, lead_members
from pareta_batch.sampling import Sampling
from pareta_batch.spec import Batch
from pareta_sandbox.testing import Sandbox, Status
from tests.batch.batches import batch_in, until
from tests.batch.member_processes import Processes
from tests.batch.test_members import ledger, member_of, run_members  # noqa: F401 - a fixture

ROWS, MEMBERS, IN_FLIGHT = 300, 2, 16
WITHIN_S = 60


def empty_balance(sandbox: Sandbox, leading: Lead, members: Sequence["asyncio.Task[object]"]) -> None:
    sandbox.inject(Status(status=402, times=1_000))


def interrupt(sandbox: Sandbox, leading: Lead, members: Sequence["asyncio.Task[object]"]) -> None:
    leading.stop_because("Interrupted", "Ctrl-C")


def cancel(sandbox: Sandbox, leading: Lead, members: Sequence["asyncio.Task[object]"]) -> None:
    for member in members:
        member.cancel()


def spend(sandbox: Sandbox, leading: Lead, members: Sequence["asyncio.Task[object]"]) -> None:
    """The budget of the batch ends by itself."""


Act = Callable[[Sandbox, Lead, Sequence["asyncio.Task[object]"]], None]


@pytest.mark.parametrize(
    ("act", "budget_usd"),
    [
        (spend, 0.0004),
        *(pytest.param(act, None, marks=pytest.mark.long) for act in (empty_balance, interrupt, cancel)),
    ],
)
async def test_rows_claimed_ahead_are_given_back_at_every_stop(
    tmp_path: Path,
    sandbox: Sandbox,
    ledger: Ledger,  # noqa: F811
    postgres_url: str,
    act: Act,
    budget_usd: float | None,
) -> None:
    sandbox.change(latency_ms=20)
    batch = batch_in(tmp_path, ROWS, max_in_flight=IN_FLIGHT, budget_usd=budget_usd, sampling=Sampling(max_tokens=2))
    await _stopped(batch, sandbox, ledger, postgres_url, act)
    tally = ledger.tally("test")
    assert 0 < tally.settled == sandbox.books().completions < ROWS
    assert (tally.unknown, tally.failed, tally.pending) == (0, 0, ROWS - tally.settled)
    with ledger.transaction() as db:
        tried = rows.c.state == "pending", rows.c.attempts > 0
        assert db.scalar(sa.select(sa.func.count()).where(*tried)) == 0, "a row that was not sent has no attempt"
    sandbox.never_more_in_flight_than(IN_FLIGHT)
    sandbox.change(latency_ms=0)
    sandbox.clear_faults()
    more = batch.model_copy(update={"budget_usd": None})
    await run_members(more, sandbox, ledger, postgres_url, members=MEMBERS)
    assert ledger.tally("test").settled == ROWS
    assert sandbox.books().replays == 0
    sandbox.debited_once()


async def _stopped(batch: Batch, sandbox: Sandbox, ledger: Ledger, url: str, act: Act) -> None:  # noqa: F811
    members: list[asyncio.Task[object]] = []

    async def start(every: Sequence[Member]) -> None:
        members.extend(asyncio.create_task(member_of(batch, sandbox, url, one)) for one in every)
        await asyncio.gather(*members, return_exceptions=True)

    register_rows(batch, ledger)
    async with lead_members(batch, ledger, MEMBERS) as leading:
        working = asyncio.create_task(leading.work(start))
        await until(lambda: sandbox.books().completions >= 60 or working.done(), WITHIN_S)
        act(sandbox, leading, members)
        async with asyncio.timeout(WITHIN_S):
            await working


async def test_a_killed_member_leaves_no_more_rows_in_doubt_than_it_had_at_work(
    tmp_path: Path,
    sandbox: Sandbox,
    ledger: Ledger,  # noqa: F811
    postgres_url: str,
) -> None:
    sandbox.change(latency_ms=50)
    batch = batch_in(tmp_path, ROWS, max_in_flight=8, timeout_s=2)
    register_rows(batch, ledger)
    with Processes(batch, sandbox, postgres_url) as processes:
        async with lead_members(batch, ledger, 1) as leading:
            working = asyncio.create_task(leading.work(processes.start_all))
            await until(lambda: sandbox.books().completions >= 60, WITHIN_S)
            processes.running[0].kill()
            async with asyncio.timeout(WITHIN_S):
                await working
    await until(lambda: sandbox.books().in_flight == 0)
    tally, paid = ledger.tally("test"), sandbox.books().completions
    assert tally.settled <= paid <= tally.settled + 3 * 8, "calls in flight, and answers that waited for their group"
    assert paid <= tally.settled + tally.unknown, "what was paid is settled or in doubt"
    assert tally.unknown <= 3 * 8 + 17, "those, and rows claimed ahead"
    sandbox.change(latency_ms=0)
    await run_members(batch, sandbox, ledger, postgres_url, members=MEMBERS)
    assert (ledger.tally("test").settled, ledger.tally("test").unknown) == (ROWS, 0)
    sandbox.debited_once()


async def test_a_lock_that_is_lost_while_claims_wait_for_the_fence_refuses_them(
    tmp_path: Path,
    ledger: Ledger,  # noqa: F811
    postgres_url: str,
) -> None:
    """The lock is read after the fence: one that was lost meanwhile counts as lost."""
    batch = batch_in(tmp_path, 3)
    register_rows(batch, ledger)
    asks = list(ledger.missing("test", 0, 500))
    waits = sa.text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    mine = Ledger.open(postgres_url)
    async with lead_members(batch, ledger, 1) as leading:
        with join_run(mine, "test", leading.members[0].run) as held, ThreadPoolExecutor(1) as pool:
            mine.write("test", LedgerWrites(claims=asks[:1]))
            with ledger.transaction() as db:
                lock_until_commit(db, locks_of("test").fence)
                writing = pool.submit(mine.write, "test", LedgerWrites(claims=asks[1:]))
                deadline = time.monotonic() + WITHIN_S
                while not db.scalar(waits):
                    assert time.monotonic() < deadline
                held.release()
            with pytest.raises(LedgerError, match="the lock of a member of batch 'test' was lost"):
                writing.result(WITHIN_S)
        leading.stop_because("Interrupted", "the test has ended")
    mine.close()
    assert ledger.tally("test").unknown == 1
