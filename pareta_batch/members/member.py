"""One process that works on a batch beside others: one session, one client, one limiter, shards from the ledger."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from math import ceil

from pareta_batch.engine import (
    IN_GROUPS,
    RETRY_POLICY,
    TIMING,
    RetryPolicy,
    Session,
    SessionWork,
    Timing,
    relaxed_gc,
    start_session,
)
from pareta_batch.errors import BatchStopped, LedgerError, Orphaned, RowsUnanswered
from pareta_batch.ledger import ALL_UNSETTLED, Ledger, RowSelection, join_run
from pareta_batch.members.allotted_gate import AllottedGate
from pareta_batch.members.counts import Counts
from pareta_batch.members.desk import MemberDesk, News, Orders, Present
from pareta_batch.members.part_writing import PartDesk, write_as_member
from pareta_batch.money import Budget, BudgetGate
from pareta_batch.spec import Batch
from pareta_client import AsyncPareta

EXCHANGE_INTERVAL_S = 0.5
"""Seconds between two exchanges with the parent; higher writes less to the ledger and reacts later."""
WAITING_INTERVAL_S = 0.1
"""Seconds between two exchanges while rows wait for budget; higher writes less, and spends the last of it slower."""

OWN_REASONS = frozenset({"Cancelled", "Interrupted", "LedgerError", "Orphaned"})
"""Stop reasons of one member: the others continue, and its shards are free for them."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Member:
    """A member to start: the id of its run, and its number in it; picklable, and its fields are JSON.

    A runner may start a member again under the same number, also while the first process lives.
    """

    run: str
    number: int
    only_failed: bool = False
    errors: tuple[str, ...] = ()

    @property
    def selection(self) -> RowSelection:
        """The rows that the run sends."""
        return RowSelection(only_failed=self.only_failed, errors=tuple(self.errors))


@dataclass(frozen=True)
class MemberReport:
    """The work of one member; `stopped` and `message`: the reason why it ended before all rows were sent."""

    number: int
    counts: Counts
    stopped: str | None = None
    message: str | None = None


async def work_as_member(
    batch: Batch,
    client: AsyncPareta,
    ledger: Ledger,
    member: Member,
    *,
    policy: RetryPolicy = RETRY_POLICY,
    timing: Timing = TIMING,
) -> MemberReport:
    """Send rows of the batch beside the other members of its run, until all are sent or the run is stopped.

    It pulls shards from the ledger, within its share of the run's slots. If this is cancelled or the process is killed,
    its unsent rows go to the other members. A member that finds no free shard waits until all shards are done. Then it
    writes parts of an output folder, unless it sends failed rows only.

    Args:
        batch: The batch, with the same fields in every member and in the parent.
        client: An unused client; the member takes ownership of it and closes it.
        ledger: A ledger on PostgreSQL, not the object that the parent or another member uses.
        member: The member, from the parent (`Lead.members`).
        policy: Limits of retries.
        timing: Limits of waits.

    Raises:
        Orphaned: The parent has ended; nothing more is sent, and received answers are settled.
        LedgerError: The ledger is SQLite, or it cannot be written.
    """
    with ExitStack() as opened:
        held = opened.enter_context(join_run(ledger, batch.name, member.run))
        desk = MemberDesk(ledger, held)
        own = batch.model_copy(update={"shard_size": await asyncio.to_thread(desk.join, member.number)})
        work = SessionWork(own, ledger, member.selection, 0, 0, gate_of_member(batch))
        async with following_session(work, client, desk, policy, timing) as (session, present):
            await _complete_shards(session, desk, present)
            if member.selection == ALL_UNSETTLED:
                await write_as_member(batch, ledger, session, PartDesk(ledger, held), present.wait)
    return _report(member, session)


@asynccontextmanager
async def following_session(
    work: SessionWork, client: AsyncPareta, desk: MemberDesk, policy: RetryPolicy, timing: Timing
) -> AsyncIterator[tuple[Session, "Present"]]:
    """Open the session of a member that has joined; it follows the orders of the parent, and leaves at the end."""
    budget = work.budget
    with ExitStack() as opened, relaxed_gc():
        left = opened.enter_context(ExitStack())  # closed after the session: every answer is settled then
        session = start_session(opened, work, client, policy, timing, IN_GROUPS)
        left.callback(lambda: desk.leave(Counts.of(session), budget.used if isinstance(budget, AllottedGate) else None))
        async with session.share_account(), _following(session, desk, budget) as present:
            yield session, present


def gate_of_member(batch: Batch) -> BudgetGate:
    """Return a gate without an allotment; without a ceiling, every request passes."""
    if batch.budget_usd is None:
        return BudgetGate(None)
    return AllottedGate(Budget(ceiling=0, max_tokens=batch.sampling.most_tokens or 0))


def _report(member: Member, session: Session) -> MemberReport:
    counts, stop = Counts.of(session), session.stop
    if stop is None:
        return MemberReport(member.number, counts)
    raised = {"Orphaned": Orphaned, "LedgerError": LedgerError}
    if error := raised.get(stop.reason):
        raise error(stop.message)
    return MemberReport(member.number, counts, stop.reason, stop.message)


async def _complete_shards(session: Session, desk: MemberDesk, present: Present) -> None:
    """Pull shards until every shard of the run is done, at this member or another one, or the session is stopped."""

    async def pull() -> None:
        try:
            while session.stop is None and await _complete_next(session, desk, present):
                pass
        except BatchStopped as stop:  # by another member
            session.stop_because(stop.reason, stop.message)
        except LedgerError as error:
            session.stop_because("LedgerError", str(error))

    pullers = ceil(session.batch.max_in_flight / session.batch.shard_size) + 2
    async with asyncio.TaskGroup() as pulling:
        for _ in range(pullers):
            pulling.create_task(pull())


async def _complete_next(session: Session, desk: MemberDesk, present: Present) -> bool:
    """Complete a free shard, or wait for one; return False once every shard of the run is done."""
    shard = await asyncio.to_thread(desk.take) if present.orders.share else None
    if shard is not None:
        try:
            await session.complete(shard)
        except RowsUnanswered as error:
            log.info("%s: %s", session.batch.name, error)  # a later run sends these rows again
        await asyncio.to_thread(desk.finish, shard)
    elif await asyncio.to_thread(desk.has_open_shards):
        await present.wait()
    else:
        return False
    return True


@asynccontextmanager
async def _following(session: Session, desk: MemberDesk, budget: BudgetGate) -> AsyncIterator[Present]:
    """Write news and apply orders while the body runs, at once after a stop."""
    present, stopped, loop = Present(), asyncio.Event(), asyncio.get_running_loop()
    session.on_stop(lambda: loop.call_soon_threadsafe(stopped.set))
    following = asyncio.create_task(_follow(session, desk, budget, present, stopped))
    try:
        yield present
    finally:
        following.cancel()
        await _report_stop(session, desk)


async def _follow(
    session: Session, desk: MemberDesk, budget: BudgetGate, present: Present, stopped: asyncio.Event
) -> None:
    applied: Orders | None = None
    while True:
        try:
            await _report_stop(session, desk)
            news = await session.ask(_news(session, budget, present.orders))
            present.orders = await asyncio.to_thread(desk.exchange, news)
            if present.orders != applied or isinstance(budget, AllottedGate):  # waking the loop costs as much as a row
                await session.ask(_apply(session, budget, present.orders))
                applied = present.orders
        except Orphaned as error:
            session.stop_because("Orphaned", str(error))
        except Exception as error:  # noqa: BLE001 - without this loop, the member does not learn of a stop
            # The next exchange may succeed. A permanent ledger failure stops the session when a row is claimed.
            log.warning("batch %s: a member cannot reach its parent: %s", session.batch.name, error)
        present.announce()
        waits = isinstance(budget, AllottedGate) and budget.waits
        await sleep_until(stopped, session.stop, WAITING_INTERVAL_S if waits else EXCHANGE_INTERVAL_S)


async def _news(session: Session, budget: BudgetGate, orders: Orders) -> News:
    """Return the news of a member, on the session's loop; the budget that it returns is taken off at once."""
    counts, confirmed = Counts.of(session), max(orders.share, session.gate.in_flight)
    if not isinstance(budget, AllottedGate):
        return News(counts, confirmed)
    demand, returned = budget.demand(orders.share, time.monotonic())
    return News(counts, confirmed, demand, returned, budget.prices)


async def _apply(session: Session, budget: BudgetGate, orders: Orders) -> None:
    """Apply orders on the session's loop."""
    if orders.stop is not None:
        session.stop_because(orders.stop.reason, orders.stop.message)
    if isinstance(budget, AllottedGate):
        budget.grant(orders.granted, orders.prices, orders.doubt)
    session.limit_calls(paused=orders.paused or not orders.share, max_in_flight=max(1, orders.share))


async def _report_stop(session: Session, desk: MemberDesk) -> None:
    if (stop := session.stop) is not None and stop.reason not in OWN_REASONS:
        await asyncio.to_thread(desk.stop, stop)


async def sleep_until(stopped: asyncio.Event, stop: BatchStopped | None, interval_s: float) -> None:
    """Wait for one interval, or until a stop that is not the present `stop`."""
    with suppress(TimeoutError):
        async with asyncio.timeout(interval_s):
            await (stopped if stop is None else asyncio.Event()).wait()
