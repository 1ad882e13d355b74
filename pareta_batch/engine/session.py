"""One run of a batch in one process, on its own event loop."""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

from pareta_batch.answers import claim
from pareta_batch.engine.endpoint_recovery import EndpointRecovery
from pareta_batch.engine.gc_tuning import relaxed_gc
from pareta_batch.engine.loop_thread import LoopThread
from pareta_batch.engine.open_files import allow_open_files
from pareta_batch.engine.progress import Progress
from pareta_batch.engine.reachability import Reachability
from pareta_batch.engine.row_worker import RowWorker
from pareta_batch.engine.worker_pool import fan_out
from pareta_batch.errors import BatchError, BatchStopped, RowsUnanswered, UnexpectedError
from pareta_batch.ledger import ALL_UNSETTLED, GroupCommit, Ledger, Outcome, RowSelection, budget_of
from pareta_batch.money import BudgetGate
from pareta_batch.rate_limit import AdmissionGate, RateLimiter
from pareta_batch.response_format import AnswerCheck
from pareta_batch.rows import RowRequest
from pareta_batch.spec import Batch
from pareta_client import AsyncPareta, ParetaError

T = TypeVar("T")

log = logging.getLogger(__name__)

DRAIN_TIMEOUT_S = 10.0
"""Seconds that calls in flight get to finish when the session closes; higher loses fewer answers, and ends later."""
READY_TIMEOUT_S = 900.0
"""Seconds to wait for an endpoint that is not ready; higher waits longer before the batch stops."""


class Session:
    """The state that the rows of one batch share while one process works on them.

    Calls run on a separate event loop, which cancellation of the flow's tasks does not reach: a paid answer still
    arrives and is settled.
    """

    def __init__(self, batch: Batch, pareta: AsyncPareta, ledger: Ledger, wanted: RowSelection = ALL_UNSETTLED) -> None:
        tally = ledger.tally(batch.name)
        to_send = sum(ledger.missing_shards(batch.name, batch.shard_size, wanted).values())
        self.batch = batch
        self.sampling = batch.sampling.fields()
        self.check = AnswerCheck(batch.sampling.response_format)
        self.stop: BatchStopped | None = None
        self.stopped = asyncio.Event()
        self.lost = 0
        self.reachability = Reachability()
        self.address = pareta.base_url
        self.gate = AdmissionGate(RateLimiter(batch.max_in_flight))
        self.progress = Progress(batch.name, tally.total, to_send, lambda: self.gate.in_flight)
        self.budget = BudgetGate(budget_of(batch, tally, ledger))
        self.in_flight = asyncio.Semaphore(batch.max_in_flight)
        self.allotment = batch.max_in_flight  # leased slots of the endpoint; a control request cannot exceed it
        self.claim_ahead = asyncio.Semaphore(_claim_ahead(batch))
        self.recovery = EndpointRecovery(pareta, batch.model, deadline_s=READY_TIMEOUT_S)
        # One attempt per call: the row workers count and retry failures. `in_flight` and the gate limit the calls.
        can_connect = allow_open_files(batch.max_in_flight, f"batch {batch.name!r}")
        self.pareta = pareta.with_options(max_retries=0, unlimited_connections=can_connect)
        self._ledger = ledger
        self._wanted = wanted
        # Last: an exception after a thread is started would leak the thread.
        self._loop = LoopThread(f"session of {batch.name}", lambda error: self.stop_for(error, "the event loop"))
        self.group_commit = GroupCommit(ledger, batch.name)

    async def complete(self, shard: int) -> None:
        """Send the missing rows of one shard, and settle each answer before it counts.

        Cancelling this stops the session: calls in flight continue until they settle or the session closes. Paid
        answers are in the ledger after every error.

        Raises:
            BatchStopped: the session sends nothing more.
            RowsUnanswered: rows failed with a transient error.
            LedgerError: an outcome cannot be written.
        """
        await self._run(shard, self._ledger.missing(self.batch.name, shard, self.batch.shard_size, self._wanted))

    async def pilot(self, rows: int) -> None:
        """Send a random sample of the missing rows, to estimate the cost of the others; raises as `complete`."""
        await self._run(0, self._ledger.some_missing(self.batch.name, rows))

    async def ask(self, work: Coroutine[Any, Any, T]) -> T:
        """Run other work that uses the session's client on its loop, and return its result."""
        return await self._loop.run(work)

    async def _run(self, shard: int, requests: Iterable[RowRequest]) -> None:
        try:
            await self._loop.run(self._complete(shard, requests))
        except asyncio.CancelledError:
            self.stop_because("Cancelled", "the run was cancelled")
            raise

    async def _complete(self, shard: int, requests: Iterable[RowRequest]) -> None:
        unanswered: list[Outcome] = []

        async def work(request: RowRequest) -> None:
            outcome = await RowWorker(self, request).answer()
            if outcome is not None and outcome.retryable:
                unanswered.append(outcome)

        workers = min(self.batch.max_in_flight + _claim_ahead(self.batch), self.batch.shard_size)
        try:
            await fan_out(requests, work, workers=workers, stopped=self.is_stopped)
        except (BatchError, ParetaError, asyncio.CancelledError):
            raise
        except BaseException as error:  # noqa: BLE001 - it stops the batch as an UnexpectedError
            self.stop_for(error, f"shard {shard}")
        if self.stop is not None:
            raise self.stop
        if unanswered:
            last = unanswered[-1]
            raise RowsUnanswered(shard, len(unanswered), last.error or "", last.error_message or "")

    def is_stopped(self) -> bool:
        """Return whether the session sends nothing more."""
        return self.stop is not None

    def stop_because(self, reason: str, message: str) -> None:
        """Stop sending; calls in flight finish and settle. The first reason is kept. Safe from any thread."""
        self.stop = self.stop or BatchStopped(reason, message)
        self._loop.call_soon(self._wake_waiting_rows)

    def apply(self, *, paused: bool, max_in_flight: int | None) -> None:
        """Apply a control request (`max_in_flight` None: the whole allotment). Safe from any thread."""
        allowed = min(max_in_flight or self.allotment, self.allotment)
        self._loop.call_soon(lambda: self.gate.apply(paused=paused, max_in_flight=allowed))

    def limit_to(self, slots: int) -> None:
        """Set the allotment to the leased slots; it takes effect with the next control request that is applied."""
        self.allotment = max(1, min(slots, self.batch.max_in_flight))

    def stop_for(self, error: BaseException, where: str = "the engine") -> None:
        """Stop because of an error; the message contains the id of the request.

        Any exception but BatchError and ParetaError becomes an UnexpectedError of the part `where`.
        """
        if not isinstance(error, BatchError | ParetaError):
            log.error("%s stops for an unexpected exception in %s", self.batch.name, where, exc_info=error)
            error = UnexpectedError.of(error, where)
        request = getattr(error, "request_id", None)
        self.stop_because(type(error).__name__, f"{error} (request {request})" if request else str(error))

    @contextmanager
    def stopped_by_faults(self, where: str) -> Iterator[None]:
        """Stop the session for any exception of the body, and continue: a received answer has still to be settled."""
        try:
            yield
        except BaseException as error:  # noqa: BLE001 - the answer is paid
            self.stop_for(error, where)

    def close(self) -> None:
        """Wait up to `DRAIN_TIMEOUT_S` for calls in flight, and flush the queued writes to the ledger."""
        try:
            self._loop.close(self._close_client(), within_s=DRAIN_TIMEOUT_S)
        finally:
            self._close_parts()
        if self.lost:
            lost = f"{self.lost} outcomes, which may be paid answers, could not be written to the ledger"
            stop = self.stop or BatchStopped("LedgerError", "the ledger failed at the end of the run")
            self.stop = BatchStopped(stop.reason, f"{stop.message}; {lost}")

    def _close_parts(self) -> None:
        # The writer first and in any case: its queue may hold paid answers.
        try:
            self.lost = self.group_commit.close()
        finally:
            self.check.close()

    async def _close_client(self) -> None:
        self.recovery.cancel()
        await self.pareta.aclose()

    def _wake_waiting_rows(self) -> None:
        self.stopped.set()
        for where, close in (("the budget", self.budget.close), ("the rate limit", self.gate.close)):
            with self.stopped_by_faults(where):
                close()


@asynccontextmanager
async def open_session(
    batch: Batch, pareta: AsyncPareta, ledger: Ledger, wanted: RowSelection = ALL_UNSETTLED
) -> AsyncIterator[Session]:
    """Open a session; it takes ownership of `pareta`, an unused client, and closes it.

    Received answers are written even if the body raises. Raises BatchBusy while another run holds the batch,
    OutputError while another batch owns its output.
    """
    with ledger.lease(batch.name), relaxed_gc():
        # Claimed again under the lease: another batch may have claimed the output since the rows were registered.
        await asyncio.to_thread(claim, batch, ledger)
        session = await asyncio.to_thread(Session, batch, pareta, ledger, wanted)
        _open_sessions.add(session)
        try:
            yield session
        finally:
            _open_sessions.remove(session)
            session.close()


def stop_open_sessions(reason: str, message: str) -> bool:
    """Stop every session of this process that is not stopped; return whether there was one."""
    running = [session for session in _open_sessions if session.stop is None]
    for session in running:
        session.stop_because(reason, message)
    return bool(running)


_open_sessions: set[Session] = set()


def _claim_ahead(batch: Batch) -> int:
    """Return the number of rows that may be claimed before they are sent."""
    return 1 + batch.max_in_flight // 4
