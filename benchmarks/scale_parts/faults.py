"""Members and parents that are killed, an empty balance, a ceiling, and a limit that moves."""

import asyncio
import json
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from benchmarks.client import service
from benchmarks.scale_parts.result import Result
from pareta_batch.engine import register_rows
from pareta_batch.ledger import Ledger, living_members, members
from pareta_batch.members import Lead, Member, lead_members
from pareta_batch.sampling import Sampling
from pareta_batch.spec import Batch
from pareta_sandbox.testing import Sandbox, Status, running
from tests.batch.batches import batch_in, run, until
from tests.batch.member_processes import Processes, parent_elsewhere, run_of
from tests.batch.postgres import Server

LATENCY_MS = 100
IN_FLIGHT = 32
MEMBERS = 4
WAIT_S = 120.0
"""Upper bound of each wait; higher tolerates a slower machine."""
ORPHANS_WITHIN_S = 2.0


@contextmanager
def ledger_of(server: Server) -> Iterator[tuple[Ledger, str]]:
    """Yield a new ledger and its URL."""
    with server.database() as url:
        ledger = Ledger.open(url)
        try:
            yield ledger, url
        finally:
            ledger.close()


def living(ledger: Ledger) -> int:
    with ledger.transaction() as db:
        return len(living_members(db, "test"))


def twice(sandbox: Sandbox) -> int:
    """Return the number of keys that were debited more than once."""
    return sum(n > 1 for n in Counter(debit.key for debit in sandbox.books().debits).values())


async def completions(sandbox: Sandbox, least: int) -> None:
    await until(lambda: sandbox.books().completions >= least, WAIT_S)


async def kill_member(rows: int, folder: Path, server: Server) -> Result:
    """Kill a member in the middle."""
    with ledger_of(server) as (ledger, url), running(latency_ms=LATENCY_MS) as sandbox:
        batch = batch_in(folder, rows, max_in_flight=IN_FLIGHT, timeout_s=2)
        register_rows(batch, ledger)
        with Processes(batch, sandbox, url) as processes:
            async with lead_members(batch, ledger, MEMBERS) as leading:
                working = asyncio.create_task(leading.work(processes.start_all))
                await completions(sandbox, rows // 3)
                processes.running[0].kill()
                await working
        settled, books, again = ledger.tally("test").settled, sandbox.books(), twice(sandbox)
    return Result(
        f"kill -9 of 1 of {MEMBERS} members",
        f"{settled} of {rows} settled, {again} debited twice, {books.replays} replays, at most "
        f"{books.highest_in_flight} of {IN_FLIGHT} in flight",
        "all settled, none debited twice, never above the limit",
        settled == rows and not again and books.highest_in_flight <= IN_FLIGHT,
    )


async def kill_parent(rows: int, folder: Path, server: Server) -> Result:
    """Kill the parent in the middle, and run the batch again."""
    with ledger_of(server) as (ledger, url), running(latency_ms=LATENCY_MS) as sandbox:
        batch = batch_in(folder, rows, max_in_flight=IN_FLIGHT)
        with Processes(batch, sandbox, url) as processes, parent_elsewhere(batch, url) as parent:
            await until(lambda: run_of(ledger) is not None, WAIT_S)
            for number in range(MEMBERS):
                processes.start(Member(run_of(ledger) or "", number))
            await completions(sandbox, rows // 3)
            parent.kill()
            last_s, left_s = await _orphans(sandbox, ledger)
        report = await run(batch, sandbox, ledger)
        again, replays = twice(sandbox), sandbox.books().replays
    return Result(
        "kill -9 of the parent",
        f"last request after {last_s:.1f} s, last member gone after {left_s:.1f} s; the next run: {report.settled} of "
        f"{rows} settled, {again} debited twice, {replays} replays",
        f"members stop within {ORPHANS_WITHIN_S:.0f} s; all settled, none debited twice",
        last_s <= ORPHANS_WITHIN_S and report.settled == rows and not again,
    )


async def _orphans(sandbox: Sandbox, ledger: Ledger) -> tuple[float, float]:
    """Return the seconds until the last request arrived, and until no member was left."""
    killed, last_s, seen = time.monotonic(), 0.0, sandbox.books().completions_seen
    while await asyncio.to_thread(living, ledger):
        if (now := (await asyncio.to_thread(sandbox.books)).completions_seen) != seen:
            seen, last_s = now, time.monotonic() - killed
        assert time.monotonic() < killed + WAIT_S, "members of a killed parent are left"
        await asyncio.sleep(0.01)
    return last_s, time.monotonic() - killed


async def empty_balance(rows: int, folder: Path, server: Server) -> Result:
    """Answer 402 from the middle on."""
    with ledger_of(server) as (ledger, url), running(latency_ms=LATENCY_MS) as sandbox:
        sandbox.inject(Status(status=402, skip=rows // 3, times=rows))
        leading = await _lead(batch_in(folder, rows, max_in_flight=IN_FLIGHT), ledger, url, sandbox, MEMBERS)
        books, settled = sandbox.books(), ledger.tally("test").settled
    refused, reason = books.statuses.get(402, 0), leading.stop.reason if leading.stop else "none"
    return Result(
        f"402 with {MEMBERS} members",
        f"{refused} requests answered 402 with {IN_FLIGHT} in flight; {settled} of {books.completions} paid rows "
        "settled",
        "requests after the first 402 ≤ calls in flight",
        refused - 1 <= IN_FLIGHT and reason == "InsufficientCreditsError" and settled == books.completions,
    )


async def ceiling(rows: int, folder: Path, server: Server) -> Result:
    """Run out of a budget with 8 members and rows of random lengths."""
    with ledger_of(server) as (ledger, url), running(latency_ms=LATENCY_MS) as sandbox:
        budget_usd = rows * 4e-6
        texts = [{"id": f"r{n}", "text": f"{n} " + "My invoice is wrong. " * (1 + n * n % 7)} for n in range(rows)]
        limits = {"max_in_flight": IN_FLIGHT, "budget_usd": budget_usd, "sampling": Sampling(max_tokens=2)}
        leading = await _lead(batch_in(folder, texts, **limits), ledger, url, sandbox, 2 * MEMBERS)
        billed, again = sandbox.books().debited_micro_usd, twice(sandbox)
    share, reason = billed / (1e6 * budget_usd), leading.stop.reason if leading.stop else "none"
    return Result(
        f"ceiling of ${budget_usd:g} with {2 * MEMBERS} members, rows of different costs",
        f"{share:.2%} of the ceiling used when the run stopped; {again} debited twice",
        "never above the ceiling, within 2 % of it",
        0.98 <= share <= 1 and reason == "BudgetReached" and not again,
    )


async def _lead(batch: Batch, ledger: Ledger, url: str, sandbox: Sandbox, members: int) -> Lead:
    register_rows(batch, ledger)
    with Processes(batch, sandbox, url) as processes:
        async with lead_members(batch, ledger, members) as leading:
            await leading.work(processes.start_all)
    return leading


async def moving_limit(phase_s: float, folder: Path, server: Server) -> Result:
    """Move the limit 32 → 8 → 32 while a member joins and one is killed in each phase."""
    rows = round(30 * IN_FLIGHT * max(phase_s, 1))
    with ledger_of(server) as (ledger, database), service(LATENCY_MS) as url:
        batch = batch_in(folder, rows, max_in_flight=IN_FLIGHT, timeout_s=1)
        register_rows(batch, ledger)
        with Processes(batch, Sandbox(url), database) as processes:
            async with lead_members(batch, ledger, MEMBERS) as leading:
                working = asyncio.create_task(leading.work(processes.start_all))
                await until(lambda: highest(url)[0] > IN_FLIGHT // 2, WAIT_S)
                phases = [
                    await _phase(leading, processes, url, MEMBERS + number, slots, phase_s, ledger)
                    for number, slots in enumerate((IN_FLIGHT, IN_FLIGHT // 4, IN_FLIGHT))
                ]
                leading.stop_because("Interrupted", "the measurement is complete")
                await working
    shown = ", ".join(f"{most} of {slots}" for slots, most, _ in phases)
    return Result(
        f"limit {IN_FLIGHT} → {IN_FLIGHT // 4} → {IN_FLIGHT}, members join and are killed",
        f"at most in flight at the service: {shown}; the lower limit held after {phases[1][2]:.1f} s",
        "never above the limit",
        all(most <= slots for slots, most, _ in phases),
    )


async def _phase(
    leading: Lead, processes: Processes, url: str, number: int, slots: int, phase_s: float, ledger: Ledger
) -> tuple[int, int, float]:
    """Set a limit, and return it, the maximum in flight once it holds, and the seconds until then.

    It holds once each member has confirmed its part, and the calls in flight above it have ended.
    """
    leading.apply(paused=False, max_in_flight=slots)
    changed = time.monotonic()
    await until(lambda: confirmed(ledger) <= slots and highest(url)[0] <= slots, WAIT_S)
    lowered_s = time.monotonic() - changed
    highest(url)  # the maximum since the limit holds
    await asyncio.sleep(phase_s / 2)
    processes.running[number - MEMBERS].kill()
    processes.start(Member(leading.members[0].run, number))
    await asyncio.sleep(phase_s / 2)
    return slots, highest(url)[1], lowered_s


def confirmed(ledger: Ledger) -> int:
    """Return the sum of the calls in flight that the members may have now."""
    row = members.c
    query = sa.select(sa.func.sum(sa.func.greatest(row.share, row.confirmed))).where(sa.not_(row.ended))
    with ledger.transaction() as db:
        return db.scalar(query) or 0


def highest(url: str) -> tuple[int, int]:
    """Return the completions in flight at the service, and their maximum since the last call."""
    with urllib.request.urlopen(f"{url}/in-flight") as reply:
        now, most = json.loads(reply.read())
    return now, most
