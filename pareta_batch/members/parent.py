"""The parent of a run with members: it holds the batch's lock, shares out the slots, and sums up the progress."""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import partial

from pareta_batch.answers import WrittenParts, claim
from pareta_batch.engine import TIMING, SessionWork, StopSignal, Timing, owner_of_sessions, read_work, settle_copies
from pareta_batch.errors import BatchStopped
from pareta_batch.ledger import ALL_UNSETTLED, Ledger, RowSelection, check_serves_members
from pareta_batch.members.counts import RunProgress, sum_of
from pareta_batch.members.funds import NO_FUNDS, Funds
from pareta_batch.members.member import EXCHANGE_INTERVAL_S, WAITING_INTERVAL_S, Member, sleep_until
from pareta_batch.members.part_writing import members_write, part_ranges
from pareta_batch.members.run_money import RunMoney
from pareta_batch.members.run_rows import MemberState, RunRows
from pareta_batch.members.shares import next_shares, shard_size
from pareta_batch.plurals import quantity
from pareta_batch.rate_limit import Limits
from pareta_batch.spec import Batch

StartMembers = Callable[[Sequence[Member]], Awaitable[object]]
"""Starts one process for each member, and returns when all have ended; cancelling it ends them."""

log = logging.getLogger(__name__)


class Lead:
    """A batch while its members send its rows; `lead_members` is the constructor. It has the control of a `Session`.

    `progress`: the sum over the members. `allotment`: the slots that the members share. `living`: the numbers of the
    members whose lock was held at the last reading. `written`: the parts of the output folder, once the members have
    written all of them.
    """

    def __init__(self, work: SessionWork, rows: RunRows, members: int, timing: Timing) -> None:
        self.batch = work.batch
        self.allotment = work.batch.max_in_flight
        self.living: frozenset[int] = frozenset()
        self._paused = False
        self.progress = RunProgress.of_run(work, lambda: self._paused)
        self._ledger = work.ledger
        self._selection = work.selection
        self._members = members
        self._rows = rows
        self._drain_s = timing.drain_s
        self._stop = StopSignal(work.batch.name)
        self._max_in_flight = self.allotment
        self._dead: dict[str, float] = {}
        self._one_tick = threading.Lock()
        self.written: WrittenParts | None = None
        self._offers_parts = False
        self._budget = work.budget
        self._funds_wait = False
        self._funds = Funds.of(work.budget.budget) if work.budget.budget else NO_FUNDS
        self._money = RunMoney(work, self._funds)

    @property
    def stop(self) -> BatchStopped | None:
        """The reason why the members send nothing more; None while they send."""
        return self._stop.reason

    @property
    def refused(self) -> int:
        """Requests that the service refused for its rate limit."""
        return self.progress.counts.refused

    @property
    def limits(self) -> Sequence[Limits]:
        """The limits that were learned: none here, each member learns its own."""
        return ()

    @property
    def members(self) -> list[Member]:
        """The members to start; each is the argument of one `work_as_member`."""
        chosen = self._selection
        return [Member(self._rows.run, n, chosen.only_failed, chosen.errors) for n in range(self._members)]

    async def work(self, start: StartMembers) -> None:
        """Start the members, and wait until all have ended; the caller reads `stop` and the ledger for the result.

        Cancelling this stops the run: the members settle their calls in flight first. An exception of `start` stops
        the run too, and is raised.
        """
        await asyncio.to_thread(self._money.measure_ledger)
        if not self.progress.to_send:
            return
        running = asyncio.ensure_future(start(self.members))
        try:
            await asyncio.shield(running)
        except asyncio.CancelledError:
            self.stop_because("Cancelled", "the run was cancelled")
            await self._drain(running)
            raise
        except BaseException as error:
            self._stop.stop_for(error, "the start of members")
            raise
        finally:
            await asyncio.to_thread(self._tick)
            await asyncio.to_thread(settle_copies, self.batch, self._ledger)
            await asyncio.to_thread(self._money.measure_ledger)
        if self.stop is None:
            self.written = await asyncio.to_thread(self._rows.written_parts)
        left = await asyncio.to_thread(self._rows.open_shards)
        if self.stop is None and left:
            self.stop_because("MembersLost", f"all members ended, and {left} shards are not done")

    def stop_because(self, reason: str, message: str) -> None:
        """Stop all members; calls in flight finish and settle. The first reason is kept. Safe from any thread."""
        self._stop.stop(reason, message)

    def apply(self, *, paused: bool, max_in_flight: int | None) -> None:
        """Apply a control request to all members together (`max_in_flight` None: the whole allotment)."""
        self._paused = paused
        self._max_in_flight = min(max_in_flight or self.allotment, self.allotment)

    def limit_to(self, slots: int) -> None:
        """Set the allotment to the leased slots; it takes effect with the next control request that is applied."""
        self.allotment = max(1, min(slots, self.batch.max_in_flight))

    async def follow(self, stopped: asyncio.Event) -> None:
        """Read the members' rows and write their orders, once an interval, until cancelled."""
        while True:
            try:
                await asyncio.to_thread(self._tick)
            except Exception as error:  # noqa: BLE001 - without this loop, no member gets a share
                log.warning("batch %s: the members' rows cannot be exchanged: %s", self.batch.name, error)
            waits = self.stop is None and self._funds_wait
            await sleep_until(stopped, self.stop, WAITING_INTERVAL_S if waits else EXCHANGE_INTERVAL_S)

    def _tick(self) -> None:
        with self._one_tick:  # two at once would grant the same budget twice
            self._exchange()

    def _exchange(self) -> None:
        rows, now = self._rows, time.monotonic()
        if self.stop is not None:
            rows.stop(self.stop)
        states = rows.states()
        self.progress.update(sum_of(state.present_counts for state in states))
        self._bury([state for state in states if not state.lives and not state.ended], now)
        self.living = frozenset(state.number for state in states if state.lives)
        living = {state.token: state.held for state in states if state.lives}
        slots, withheld = self._max_in_flight, self._withheld(states, now)
        holders = rows.holders() if slots - withheld < len(living) else ()
        shares = next_shares(slots, living, withheld, holders)
        changed = {token: share for token, share in shares.items() if share != living[token].share}
        rows.write(changed, self._grants(states), paused=self._paused, prices=self._funds.prices)
        self._money.measure(self.progress.spent_micro_usd)
        if (stop := rows.stopped()) is not None and self.stop is None:
            self._stop.stop(stop.reason, stop.message)
        if self._offers_parts and living and self.stop is None and rows.all_done():
            settle_copies(self.batch, self._ledger)
            rows.offer_parts(part_ranges(self.batch, rows.total(), self._members))
            self._offers_parts = False

    def _grants(self, states: Sequence[MemberState]) -> dict[str, int]:
        """Return the additional allotments of the budget; stop once it is reached."""
        if self._budget.budget is None:
            return {}
        funds = self._funds
        funds.learn([state.prices for state in states])
        granted = sum(state.allotment.granted for state in states)
        living = {state.token: state.allotment for state in states if state.lives}
        self._funds_wait = any(each.demand is not None and each.demand.needs for each in living.values())
        if self.stop is None and funds.is_reached(granted, living):
            self.stop_because("BudgetReached", self._budget.exhausted_reason(self.batch.budget_usd))
        return funds.grants(granted, living)

    def _bury(self, dead: Sequence[MemberState], now: float) -> None:
        """Free the shards of members that died since the last reading, and take back what they cannot have spent."""
        for state in dead:
            if state.token not in self._dead:
                self._rows.bury(state.token, partial(self._kept_of_dead, state))
                held = quantity(state.held.most, "slot")
                text = "batch %s: member %d has died; its shards are free now, and its %s in %.0f s"
                log.warning(text, self.batch.name, state.number, held, self.batch.timeout_s)
                self._dead[state.token] = now

    def _kept_of_dead(self, state: MemberState, billed: int, requests: int, prompt_bytes: int) -> int:
        most_tokens = self.batch.sampling.most_tokens or 0
        return self._funds.kept_of_dead(state.allotment.granted, billed, requests, prompt_bytes, most_tokens)

    def _withheld(self, states: Sequence[MemberState], now: float) -> int:
        """Return the shares of dead members whose calls may still be at the service."""
        recent = {token for token, at in self._dead.items() if now - at < self.batch.timeout_s}
        return sum(state.held.most for state in states if state.token in recent)

    async def _drain(self, running: "asyncio.Future[object]") -> None:
        """Wait until the members have settled their calls in flight; then cancel them."""
        await asyncio.wait([running], timeout=self._drain_s + 2 * EXCHANGE_INTERVAL_S)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@asynccontextmanager
async def lead_members(
    batch: Batch,
    ledger: Ledger,
    members: int,
    wanted: RowSelection = ALL_UNSETTLED,
    *,
    timing: Timing = TIMING,
) -> AsyncIterator[Lead]:
    """Hold a batch whose rows are registered, for a number of members that send them.

    Raises:
        BatchBusy: Another run holds the batch, or members of a dead run are left.
        OutputError: Another batch owns its output.
        LedgerError: The ledger is SQLite, or it cannot be written.
    """
    check_serves_members(ledger)
    with ledger.lease(batch.name):
        await asyncio.to_thread(claim, batch, ledger)
        work = await asyncio.to_thread(read_work, batch, ledger, wanted)
        size = shard_size(batch.shard_size, work.to_send, members)
        shards = await asyncio.to_thread(ledger.missing_shards, batch.name, size, wanted)
        leading = Lead(work, RunRows(ledger, batch.name), members, timing)
        # A run of failed rows leaves the answers as they are: the dataset was not read.
        leading._offers_parts = wanted == ALL_UNSETTLED and members_write(batch)
        async with begun(leading, shards, size):
            yield leading


@asynccontextmanager
async def begun(leading: Lead, shards: Iterable[int], shard_size: int) -> AsyncIterator[None]:
    """Enter the run of a held batch with its shards, and follow its members while the body runs."""
    await asyncio.to_thread(leading._rows.begin, shards, shard_size, leading._funds.doubt)
    try:
        async with _following(leading):
            with owner_of_sessions().include(leading._stop):
                yield
    finally:
        leading._rows.end()


@asynccontextmanager
async def _following(leading: Lead) -> AsyncIterator[None]:
    stopped, loop = asyncio.Event(), asyncio.get_running_loop()
    leading._stop.on_stop(lambda: loop.call_soon_threadsafe(stopped.set))
    following = asyncio.create_task(leading.follow(stopped))
    try:
        yield
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
