"""One run of a batch in one process: what its rows share, on an event loop of its own."""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

from pareta_batch.answers import claim
from pareta_batch.engine.endpoint_recovery import EndpointRecovery
from pareta_batch.engine.gc_tuning import relaxed_gc
from pareta_batch.engine.loop_thread import LoopThread
from pareta_batch.engine.progress import Progress
from pareta_batch.engine.reachability import Contact
from pareta_batch.engine.row_worker import RowWorker
from pareta_batch.engine.worker_pool import fan_out
from pareta_batch.errors import BatchError, BatchStopped, RowsUnanswered, UnexpectedError
from pareta_batch.ledger import ALL_UNSETTLED, GroupCommit, Ledger, Outcome, RowSelection, purse_of
from pareta_batch.money import BudgetGate
from pareta_batch.rate_limit import AdmissionGate, RateLimiter
from pareta_batch.response_format import AnswerCheck
from pareta_batch.rows import RowRequest
from pareta_batch.spec import Batch
from pareta_client import AsyncPareta, ParetaError

T = TypeVar("T")

log = logging.getLogger(__name__)

DRAIN_S = 10.0
READY_DEADLINE_S = 900.0


class Session:
    """Everything the rows of one batch share while one process works on them.

    Its calls run on a loop of their own, where cancelling the flow's tasks does not reach: a paid answer that is on
    its way gets the time to arrive and to be settled.
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
        self.contact = Contact()
        self.address = pareta.base_url
        self.gate = AdmissionGate(RateLimiter(batch.max_in_flight))
        self.progress = Progress(batch.name, tally.total, to_send, lambda: self.gate.in_flight)
        self.budget = BudgetGate(purse_of(batch, tally, ledger))
        self.in_flight = asyncio.Semaphore(batch.max_in_flight)
        self.share = batch.max_in_flight  # what others leave of the endpoint, whatever a person wishes
        self.claim_ahead = asyncio.Semaphore(_ahead(batch))
        self.recovery = EndpointRecovery(pareta, batch.model, deadline_s=READY_DEADLINE_S)
        # One attempt per call: the fan-out decides what a failed one means for everybody, and counts it.
        self.pareta = pareta.with_options(max_retries=0)
        self._ledger = ledger
        self._wanted = wanted
        # Last: with a thread begun, nothing may raise any more.
        self._loop = LoopThread(f"session of {batch.name}", lambda error: self.stop_for(error, "the event loop"))
        self.group_commit = GroupCommit(ledger, batch.name)

    async def complete(self, shard: int) -> None:
        """Send what the ledger is missing of one shard, and settle each answer before it counts.

        Raises BatchStopped when nothing more is to be sent, RowsUnanswered when rows failed in a way that may pass,
        LedgerError when an outcome cannot be written. What was paid is in the ledger in any case. Cancelled, it
        stops the session: calls in flight go on until they are settled or the session is closed.
        """
        await self._run(shard, self._ledger.missing(self.batch.name, shard, self.batch.shard_size, self._wanted))

    async def pilot(self, rows: int) -> None:
        """Send a random few of the missing rows, to learn what the rest will cost; raises as `complete`."""
        await self._run(0, self._ledger.some_missing(self.batch.name, rows))

    async def ask(self, work: Coroutine[Any, Any, T]) -> T:
        """Await something else that uses the session's client."""
        return await self._loop.run(work)

    async def _run(self, shard: int, asks: Iterable[RowRequest]) -> None:
        try:
            await self._loop.run(self._complete(shard, asks))
        except asyncio.CancelledError:
            self.stop_because("Cancelled", "the run was cancelled")
            raise

    async def _complete(self, shard: int, asks: Iterable[RowRequest]) -> None:
        unanswered: list[Outcome] = []

        async def work(ask: RowRequest) -> None:
            outcome = await RowWorker(self, ask).answer()
            if outcome is not None and outcome.retryable:
                unanswered.append(outcome)

        workers = min(self.batch.max_in_flight + _ahead(self.batch), self.batch.shard_size)
        try:
            await fan_out(asks, work, workers=workers, stopped=self.is_stopped)
        except (BatchError, ParetaError, asyncio.CancelledError):
            raise
        except BaseException as error:  # noqa: BLE001 - it stops the batch with a name
            self.stop_for(error, f"shard {shard}")
        if self.stop is not None:
            raise self.stop
        if unanswered:
            last = unanswered[-1]
            raise RowsUnanswered(shard, len(unanswered), last.error or "", last.error_message or "")

    def is_stopped(self) -> bool:
        """Say whether nothing more is to be sent."""
        return self.stop is not None

    def stop_because(self, reason: str, message: str) -> None:
        """Send nothing more; calls in flight finish and settle. The first reason stays. Safe from any thread."""
        self.stop = self.stop or BatchStopped(reason, message)
        self._loop.call_soon(self._wake_everybody)

    def obey(self, *, paused: bool, max_in_flight: int | None) -> None:
        """Send nothing while paused, and have no more calls in flight than this (None: as begun). From any thread."""
        most = min(max_in_flight or self.share, self.share)
        self._loop.call_soon(lambda: self.gate.obey(paused=paused, most=most))

    def allow(self, most: int) -> None:
        """Have no more calls in flight than this, or than begun with, from the next look at the wishes on."""
        self.share = max(1, min(most, self.batch.max_in_flight))

    def stop_for(self, error: BaseException, where: str = "the engine") -> None:
        """Stop because of an error; the message names the request that the service can be asked about.

        An exception that is no error of a batch or of the client becomes an UnexpectedError of the part `where`.
        """
        if not isinstance(error, BatchError | ParetaError):
            log.error("%s stops for an unexpected exception in %s", self.batch.name, where, exc_info=error)
            error = UnexpectedError.of(error, where)
        request = getattr(error, "request_id", None)
        self.stop_because(type(error).__name__, f"{error} (request {request})" if request else str(error))

    @contextmanager
    def stopped_by_faults(self, where: str) -> Iterator[None]:
        """Stop for any exception of the body, and go on: an answer that is here has yet to be settled."""
        try:
            yield
        except BaseException as error:  # noqa: BLE001 - no matter what: the answer is paid
            self.stop_for(error, where)

    def close(self) -> None:
        """Let calls in flight end within seconds, and write what was handed over to the ledger."""
        try:
            self._loop.close(self._let_go(), within_s=DRAIN_S)
        finally:
            self.check.close()
            self.lost = self.group_commit.close()
        if self.lost:
            lost = f"{self.lost} outcomes, which may be paid answers, could not be written to the ledger"
            stop = self.stop or BatchStopped("LedgerError", "the ledger failed at the end of the run")
            self.stop = BatchStopped(stop.reason, f"{stop.message}; {lost}")

    async def _let_go(self) -> None:
        self.recovery.give_up()
        await self.pareta.aclose()

    def _wake_everybody(self) -> None:
        self.stopped.set()
        for where, close in (("the budget", self.budget.close), ("the rate limit", self.gate.close)):
            with self.stopped_by_faults(where):
                close()


@asynccontextmanager
async def open_session(
    batch: Batch, pareta: AsyncPareta, ledger: Ledger, wanted: RowSelection = ALL_UNSETTLED
) -> AsyncIterator[Session]:
    """Open a session, which takes over `pareta`: a client that was not used yet. It is closed in the end.

    Whatever ends it, the answers that were handed over are written. Raises BatchBusy while another run has the batch,
    OutputError while another batch has its output.
    """
    with ledger.lease(batch.name), relaxed_gc():
        # Again, with the lease held: another batch may have taken the output since the rows were registered.
        await asyncio.to_thread(claim, batch, ledger)
        session = await asyncio.to_thread(Session, batch, pareta, ledger, wanted)
        _open.add(session)
        try:
            yield session
        finally:
            _open.remove(session)
            session.close()


def stop_open_sessions(reason: str, message: str) -> bool:
    """Stop every session of this process that is not stopped yet; say whether there was one."""
    going = [session for session in _open if session.stop is None]
    for session in going:
        session.stop_because(reason, message)
    return bool(going)


_open: set[Session] = set()


def _ahead(batch: Batch) -> int:
    """Give how many rows may be claimed without being sent yet."""
    return 1 + batch.max_in_flight // 4
