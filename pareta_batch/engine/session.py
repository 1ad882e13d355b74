"""One run of a batch in one process, on its own event loop."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from functools import partial
from typing import Any, TypeVar

from pareta_batch.answers import WrittenParts, claim
from pareta_batch.engine.account_exchange import share_account
from pareta_batch.engine.endpoint_recovery import EndpointRecovery
from pareta_batch.engine.failure_handler import FailureHandler
from pareta_batch.engine.gc_tuning import relaxed_gc
from pareta_batch.engine.grouping import AT_ONCE, Grouping
from pareta_batch.engine.loop_thread import LoopThread
from pareta_batch.engine.open_files import allow_open_files
from pareta_batch.engine.open_sessions import owner_of_sessions
from pareta_batch.engine.policy import RETRY_POLICY, TIMING, RetryPolicy, Timing
from pareta_batch.engine.progress import Progress
from pareta_batch.engine.reachability import Reachability
from pareta_batch.engine.row_sender import RowSender
from pareta_batch.engine.row_worker import RowWorker
from pareta_batch.engine.session_work import SessionWork, read_work, recount, settle_copies
from pareta_batch.engine.stop import StopSignal
from pareta_batch.engine.telemetry_setup import session_telemetry
from pareta_batch.engine.worker_pool import WorkerSlots, fan_out
from pareta_batch.errors import BatchError, BatchStopped, RowsUnanswered
from pareta_batch.ledger import ALL_UNSETTLED, GroupCommit, Ledger, Outcome, RowSelection
from pareta_batch.money import BudgetGate
from pareta_batch.rate_limit import AdmissionGate, Limits
from pareta_batch.response_format import AnswerCheck
from pareta_batch.rows import RowRequest
from pareta_batch.spec import Batch
from pareta_client import AsyncPareta, ParetaError

T = TypeVar("T")

log = logging.getLogger(__name__)


class Session:
    """A batch while one process sends its rows; `open_session` is the constructor.

    Calls run on a separate event loop, which cancellation of the flow's tasks does not reach: a paid answer still
    arrives and is settled.
    """

    written: WrittenParts | None = None  # only members write parts of the output folder

    def __init__(
        self,
        work: SessionWork,
        *,
        client: AsyncPareta,
        gate: AdmissionGate,
        progress: Progress,
        worker: RowWorker,
        stop: StopSignal,
        loop: LoopThread,
    ) -> None:
        self.batch = batch = work.batch
        self.pareta = client
        self.gate = gate
        self.progress = progress
        self.allotment = batch.max_in_flight  # leased slots of the endpoint; a control request cannot exceed it
        self._ledger = work.ledger
        self._selection = work.selection
        self._worker = worker
        self._stop = stop
        self._loop = loop

    @property
    def stop(self) -> BatchStopped | None:
        """The reason why the session sends nothing more; None while it sends."""
        return self._stop.reason

    @property
    def refused(self) -> int:
        """Requests that the service refused for its rate limit."""
        return self.gate.limiter.refusals

    @property
    def limits(self) -> Sequence[Limits]:
        """The latest learned limits of the service."""
        return self.gate.limiter.history

    async def complete(self, shard: int) -> None:
        """Send the missing rows of one shard, and settle each answer before it counts.

        Cancelling this stops the session: calls in flight continue until they settle or the session closes. Paid
        answers are in the ledger after every error.

        Raises:
            BatchStopped: the session sends nothing more.
            RowsUnanswered: rows failed with a transient error.
            LedgerError: an outcome cannot be written.
        """
        await self._run(shard, self._ledger.missing(self.batch.name, shard, self.batch.shard_size, self._selection))
        await asyncio.to_thread(recount, self.batch, self._ledger, shard)

    async def pilot(self, rows: int) -> None:
        """Send a random sample of the missing rows, to estimate the cost of the others; raises as `complete`."""
        await self._run(0, self._ledger.some_missing(self.batch.name, rows))

    async def complete_rows(self, positions: Sequence[int]) -> None:
        """Send the missing rows at these positions; raises as `complete`."""
        await self._run(0, self._ledger.missing_at(self.batch.name, positions))

    async def ask(self, work: Coroutine[Any, Any, T]) -> T:
        """Run other work that uses the session's client on its loop, and return its result."""
        return await self._loop.run(work)

    def share_account(self) -> AbstractAsyncContextManager[None]:
        """Return a context manager in which the session works at its share of the account's limits."""
        return share_account(self.gate, self._loop, self._ledger, self.pareta, self.batch.name)

    def stop_because(self, reason: str, message: str) -> None:
        """Stop sending; calls in flight finish and settle. The first reason is kept. Safe from any thread."""
        self._stop.stop(reason, message)

    def on_stop(self, act: Callable[[], object]) -> None:
        """Add a function that is called at every stop, from any thread."""
        self._stop.on_stop(act)

    def apply(self, *, paused: bool, max_in_flight: int | None) -> None:
        """Apply a control request (`max_in_flight` None: the whole allotment). Safe from any thread."""
        allowed = min(max_in_flight or self.allotment, self.allotment)
        self._loop.call_soon(partial(self.limit_calls, paused=paused, max_in_flight=allowed))

    def limit_calls(self, *, paused: bool, max_in_flight: int) -> None:
        """Pause or resume, and set the maximum of calls in flight and of claimed rows; on the session's loop only."""
        self._worker.slots.resize(self._worker.grouping.pool_size(max_in_flight))
        self.gate.apply(paused=paused, max_in_flight=max_in_flight)

    def limit_to(self, slots: int) -> None:
        """Set the allotment to the leased slots; it takes effect with the next control request that is applied."""
        self.allotment = max(1, min(slots, self.batch.max_in_flight))

    async def _run(self, shard: int, requests: Iterable[RowRequest]) -> None:
        try:
            with self._worker.sender.traced(shard):
                await self._loop.run(self._complete(shard, requests))
        except asyncio.CancelledError:
            self.stop_because("Cancelled", "the run was cancelled")
            raise

    async def _complete(self, shard: int, requests: Iterable[RowRequest]) -> None:
        unanswered: list[Outcome] = []

        async def work(request: RowRequest) -> None:
            outcome = await self._worker.answer(request)
            if outcome is not None and outcome.retryable:
                unanswered.append(outcome)

        workers = min(self._worker.grouping.workers(self.batch.max_in_flight), self.batch.shard_size)
        try:
            await fan_out(requests, work, workers=workers, stopped=self._stop.is_set)
        except (BatchError, ParetaError, asyncio.CancelledError):
            raise
        except BaseException as error:  # noqa: BLE001 - it stops the batch as an UnexpectedError
            self._stop.stop_for(error, f"shard {shard}")
        if self.stop is not None:
            raise self.stop
        if unanswered:
            last = unanswered[-1]
            raise RowsUnanswered(shard, len(unanswered), last.error or "", last.error_message or "")


@asynccontextmanager
async def open_session(
    batch: Batch,
    pareta: AsyncPareta,
    ledger: Ledger,
    wanted: RowSelection = ALL_UNSETTLED,
    *,
    policy: RetryPolicy = RETRY_POLICY,
    timing: Timing = TIMING,
) -> AsyncIterator[Session]:
    """Open a session; it takes ownership of `pareta`, an unused client, and closes it.

    Received answers are written even if the body raises. Raises BatchBusy while another run holds the batch,
    OutputError while another batch owns its output.
    """
    with ledger.lease(batch.name), relaxed_gc(), ExitStack() as opened:
        # Claimed again under the lease: another batch may have claimed the output since the rows were registered.
        await asyncio.to_thread(claim, batch, ledger)
        work = await asyncio.to_thread(read_work, batch, ledger, wanted)
        opened.callback(settle_copies, batch, ledger)
        # Not in a thread: if this task is cancelled, `opened` must know every part that was started.
        session = start_session(opened, work, pareta, policy, timing, AT_ONCE)
        async with session.share_account():
            yield session


def start_session(
    opened: ExitStack, work: SessionWork, pareta: AsyncPareta, policy: RetryPolicy, timing: Timing, grouping: Grouping
) -> Session:
    """Start the threads of a session and connect its parts; `opened` closes them in reverse order."""
    batch, stop = work.batch, StopSignal(work.batch.name)
    # One attempt per call: the row workers count and retry failures. The gate bounds the calls.
    can_connect = allow_open_files(batch.max_in_flight, f"batch {batch.name!r}")
    client = pareta.with_options(max_retries=0, unlimited_connections=can_connect)
    recovery = EndpointRecovery(pareta, batch.model, timing)
    telemetry = session_telemetry(batch, client.base_url, work.spent_micro_usd, work.budget.left_micro_usd)
    if telemetry is not None:
        opened.enter_context(telemetry.run(stop))
    check = AnswerCheck(batch.response_format, repairs=batch.answer_schema is not None)
    opened.callback(check.close)
    gate, reachability = grouping.gate(batch.max_in_flight), Reachability()
    writer = GroupCommit(work.ledger, batch.name, grouping.wait(gate), last_interval_s=timing.last_write_interval_s)
    opened.callback(lambda: stop.report_lost(writer.close()))
    loop = LoopThread(f"session of {batch.name}", partial(stop.stop_for, where="the event loop"))
    opened.callback(lambda: loop.close(_end(recovery, client), within_s=timing.drain_s))
    stop.on_stop(lambda: loop.call_soon(partial(_wake_rows, stop, work.budget, gate)))
    progress = Progress(batch.name, work.total, work.to_send, lambda: gate.in_flight, lambda: gate.is_paused)
    worker = RowWorker(
        gate=gate,
        sender=RowSender(
            batch, client, gate=gate, budget=work.budget, reachability=reachability, stop=stop, telemetry=telemetry
        ),
        failures=FailureHandler(
            batch, client.base_url, recovery, policy, gate=gate, reachability=reachability, progress=progress, stop=stop
        ),
        writer=writer,
        budget=work.budget,
        check=check,
        progress=progress,
        stop=stop,
        slots=WorkerSlots(grouping.pool_size(batch.max_in_flight)),
        grouping=grouping,
        ask_again=batch.ask_again,
    )
    opened.enter_context(owner_of_sessions().include(stop))
    return Session(work, client=client, gate=gate, progress=progress, worker=worker, stop=stop, loop=loop)


async def _end(recovery: EndpointRecovery, client: AsyncPareta) -> None:
    recovery.cancel()
    await client.aclose()


def _wake_rows(stop: StopSignal, budget: BudgetGate, gate: AdmissionGate) -> None:
    for where, wake in (("the waits", stop.woken.set), ("the budget", budget.close), ("the rate limit", gate.close)):
        with stop.stopped_by_faults(where):
            wake()
