"""The life of a row: claim, attempts, and the durable outcome."""

import asyncio
import logging
from dataclasses import dataclass

from pareta_batch.engine.failure_handler import FailureHandler
from pareta_batch.engine.grouping import Grouping
from pareta_batch.engine.progress import Progress
from pareta_batch.engine.reply_outcome import checked_fields, reply_fields, unread_fields
from pareta_batch.engine.row_sender import Answer, RowSender
from pareta_batch.engine.row_state import RowState
from pareta_batch.engine.stop import StopSignal
from pareta_batch.engine.worker_pool import WorkerSlots
from pareta_batch.errors import BatchStopped, LedgerError
from pareta_batch.ledger import GroupCommit, Outcome
from pareta_batch.money import BudgetGate
from pareta_batch.rate_limit import AdmissionGate
from pareta_batch.response_format import AnswerCheck
from pareta_batch.rows import RowRequest
from pareta_client import ParetaError

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class RowWorker:
    """The work on the rows of one session, each from its claim to its durable outcome.

    `slots`: the worker pool. A row has a slot from before its claim until its first attempt has ended, with a durable
    answer if `grouping` holds its call; the rows that wait for another attempt have none.
    """

    sender: RowSender
    gate: AdmissionGate
    failures: FailureHandler
    writer: GroupCommit
    budget: BudgetGate
    check: AnswerCheck
    progress: Progress
    stop: StopSignal
    slots: WorkerSlots
    grouping: Grouping
    ask_again: int = 0

    async def answer(self, request: RowRequest) -> Outcome | None:
        """Return the row's durable outcome; None if the batch was stopped first.

        Raises LedgerError, which stops the batch.
        """
        row = RowState(request, in_doubt=request.in_doubt)
        try:
            outcome = await self._answer(row)
            if outcome is None and row.claimed:
                outcome = await self._withdraw_claim(row)
        except LedgerError as error:
            self.stop.stop_for(error)
            raise
        except BatchStopped as error:  # by another member
            self.stop.stop_for(error)
            return None
        except (asyncio.CancelledError, GeneratorExit):
            self._withdraw_claim_soon(row)
            raise
        except BaseException as error:  # noqa: BLE001 - other rows wait for this row's slot
            self.stop.stop_for(error, f"row {request.key!r}")
            self._withdraw_claim_soon(row)
            return None
        finally:
            self.budget.withdraw_price_source(request.key)
            if row.attempts and row.claimed:
                self.progress.count_unanswered(request.key)
        return outcome

    async def _answer(self, row: RowState) -> Outcome | None:
        await self.slots.acquire()
        row.has_slot = True
        try:
            if self.stop.is_set():
                return None
            await self.writer.claim(row.request)
            row.claimed = True
            if row.in_doubt:
                self.budget.add_price_source(row.request.key)
            result = await self._attempt(row)
        finally:
            self._release_slot(row)
        while isinstance(result, ParetaError):
            if outcome := await self.failures.handle(row, result):
                return await self._settle(row, row.kept(outcome))
            result = None if self.stop.is_set() else await self._attempt(row)
        return result

    def _release_slot(self, row: RowState) -> None:
        if row.has_slot:
            row.has_slot = False
            self.slots.release()

    async def _attempt(self, row: RowState) -> Outcome | ParetaError | None:
        """Send the row once, and return its durable outcome or its error; None if the batch was stopped first."""
        match await self.sender.send(row):
            case Answer() as answer:
                kept = await self._keep(row, answer)
                return await self._attempt(row) if kept is None and not self.stop.is_set() else kept
            case ParetaError() | None as result:
                return result
            case error:
                return await self._settle(row, row.kept(row.failed(error, retryable=False)))

    async def _keep(self, row: RowState, answer: Answer) -> Outcome | None:
        """Make an answer durable, then release its call; return the row's outcome, or None before another turn."""
        try:
            if not self.grouping.holds_calls:
                self._release_slot(row)  # the claim of another row shares the commit of this answer
            outcome = row.kept(await self._read(row, answer))
            if outcome.flag != "misfit" or len(row.turns) >= self.ask_again:
                return await self._settle(row, outcome)
            return await self._end_turn(row, outcome)
        finally:
            self.gate.settled()

    async def _end_turn(self, row: RowState, outcome: Outcome) -> Outcome | None:
        """Make an answer that does not fit durable; return an outcome only if that fails, with its receipt."""
        written = await self.writer.settle(row.end_turn(outcome))
        if written.state == "pending":
            self.progress.count_receipt(written)
            return None
        row.claimed = False
        self.progress.count(written)
        return written

    async def _read(self, row: RowState, answer: Answer) -> Outcome:
        """Return the outcome of an answer; an exception while it is read or checked becomes a failed outcome."""
        known = {"resent": row.in_doubt, "latency_ms": round(answer.seconds * 1000, 1)}
        try:
            fields = reply_fields(answer.completion)
            if fields["flag"] is None and fields["answer"]:
                checked = await self.check.read(fields["answer"])
                row.problem = checked.problem
                fields = checked_fields(fields, checked)
        except Exception as error:
            log.exception("%s: the answer of row %r cannot be read", self.progress.name, row.request.key)
            return row.outcome("failed", **known, **unread_fields(answer.completion, error))
        return row.outcome("settled", **known, **fields)

    async def _settle(self, row: RowState, outcome: Outcome) -> Outcome:
        row.claimed = False  # the outcome replaces the claim, even if it is written only when the session closes
        written = await self.writer.settle(outcome)
        self.progress.count(written)
        return written

    async def _withdraw_claim(self, row: RowState) -> Outcome | None:
        """Withdraw the claim of a row that will not be sent; a billed row fails instead, and keeps its receipt."""
        if outcome := row.unsent_outcome():
            return await self._settle(row, outcome)
        if not row.in_doubt:
            await self.writer.release(row.request)
        return None

    def _withdraw_claim_soon(self, row: RowState) -> None:
        if not row.claimed:
            return
        if outcome := row.unsent_outcome():
            self.writer.settle_soon(outcome)
        elif not row.in_doubt:
            self.writer.release_soon(row.request)
