"""One attempt of a row: reservation of the budget, admission by the rate limiter, and the request."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pareta_batch.engine.reachability import Reachability
from pareta_batch.engine.row_state import RowState
from pareta_batch.engine.stop import StopSignal
from pareta_batch.money import BudgetGate, Reservation
from pareta_batch.rate_limit import AdmissionGate, Call
from pareta_batch.rows import FileChanged, Message, RowRequest, idempotency_key, wire_messages
from pareta_batch.spec import Batch
from pareta_client import (
    APIConnectionError,
    AsyncPareta,
    ChatCompletion,
    ConflictError,
    ParetaError,
    Usage,
    Verdict,
    retry_after_of,
    verdict_of,
)

if TYPE_CHECKING:
    from pareta_batch.engine.telemetry import SessionTelemetry

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answer:
    """A received completion, and the seconds from the request to it."""

    completion: ChatCompletion
    seconds: float


class RowSender:
    """Attempts of all rows of one session."""

    def __init__(
        self,
        batch: Batch,
        client: AsyncPareta,
        *,
        gate: AdmissionGate,
        budget: BudgetGate,
        reachability: Reachability,
        stop: StopSignal,
        telemetry: "SessionTelemetry | None" = None,
    ) -> None:
        self._batch = batch
        self._client = client
        self._sampling = batch.request_fields()
        self._gate = gate
        self._budget = budget
        self._reachability = reachability
        self._stop = stop
        self._telemetry = telemetry

    async def send(self, row: RowState) -> Answer | Exception | None:
        """Send the request once, and return its answer or error; None if the batch was stopped first.

        Any error but ParetaError is a reply that the client cannot read.
        """
        try:
            # Before the reservation: a row whose files cannot be read holds no budget.
            messages = await self._messages(row.asked)
        except FileChanged as error:
            return error
        reservation = await self._budget.reserve(row.asked.prompt_bytes, again=row.in_doubt)
        if reservation is None:
            self._stop.stop("BudgetReached", self._budget.exhausted_reason(self._batch.budget_usd))
            return None
        call = await self._admission()
        if call is None:
            self._budget.not_answered(reservation, in_doubt=False)
            return None
        row.attempts += 1
        sent = time.monotonic()
        self._reachability.tried(sent)
        try:
            completion = await self._create(row, messages)
        except ParetaError as error:
            self._failed(row, error, call, reservation)
            return error
        except BaseException as error:
            row.in_doubt = True
            with self._stop.stopped_by_faults("the gates"):
                self._gate.failed(call)
                self._budget.not_answered(reservation, in_doubt=True)
            if not isinstance(error, Exception):
                raise
            log.exception("%s: the reply to row %r cannot be read", self._batch.name, row.request.key)
            return error
        self._answered(row, completion, call, reservation)
        return Answer(completion, time.monotonic() - sent)

    def traced(self, shard: int) -> AbstractContextManager[None]:
        """Return a context manager that traces the calls of a shard, if they are traced."""
        return nullcontext() if self._telemetry is None else self._telemetry.shard(shard)

    async def _admission(self) -> Call | None:
        call = await self._gate.enter()
        if call is not None and self._stop.is_set():  # stopped between admission and this step
            self._gate.failed(call)
            return None
        return call

    async def _messages(self, request: RowRequest) -> Sequence[Message]:
        """Return the messages with the bytes of their files, which nothing else holds; raises FileChanged."""
        if request.options is None:
            return request.messages
        return await asyncio.to_thread(wire_messages, request.messages)

    async def _create(self, row: RowState, messages: Sequence[Message]) -> ChatCompletion:
        request = row.asked
        calling: Awaitable[ChatCompletion] = self._client.chat.completions.create(
            model=self._batch.model,
            messages=messages,
            idempotency_key=idempotency_key(self._batch.name, request.sent_as or request.key, request.fingerprint),
            timeout=self._batch.timeout_s,
            **(self._sampling if request.sampling is None else request.sampling),
        )
        return await (calling if self._telemetry is None else self._telemetry.call(row, messages, calling))

    def _failed(self, row: RowState, error: ParetaError, call: Call, reservation: Reservation) -> None:
        """Record a failed attempt; an error that is fatal to the batch stops it before another call is admitted."""
        verdict, billed = verdict_of(error), error.billed_micro_usd
        row.last_error = error
        if verdict in (Verdict.FATAL_TO_BATCH, Verdict.OUT_OF_CREDIT):
            self._stop.stop_for(error)
        doubt = billed is None and may_have_been_paid(error)
        row.in_doubt = row.in_doubt or doubt
        with self._stop.stopped_by_faults("the rate limit"):
            if verdict is Verdict.RATE_LIMIT:
                self._gate.refused(call, retry_after_of(error), error.rate_limits)
            else:
                self._gate.failed(call)
        with self._stop.stopped_by_faults("the budget"):
            if doubt:
                self._budget.add_price_source(row.request.key)
            row.count_receipt(billed)
            if billed is None:
                self._budget.not_answered(reservation, in_doubt=doubt)
            else:
                self._budget.paid(reservation, billed, None, None)

    def _answered(self, row: RowState, completion: ChatCompletion, call: Call, reservation: Reservation) -> None:
        """Record an answer. It is paid: a fault of a gate stops the batch, but the answer is settled."""
        usage, billed = completion.usage, completion.billed_micro_usd
        self._reachability.answered()
        row.count_receipt(billed)
        with self._stop.stopped_by_faults("the rate limit"):
            self._gate.answered(call, completion.rate_limits, tokens_of(usage))
        with self._stop.stopped_by_faults("the budget"):
            self._budget.paid(reservation, billed, usage.prompt_tokens, usage.completion_tokens)
        if billed is None and self._budget.budget is not None:
            self._stop.stop("NoReceipts", "the service does not say what it bills: no budget can be kept")


def tokens_of(usage: Usage) -> int | None:
    """Return the tokens that an answer counts against a limit; None if the service does not report them."""
    if usage.total_tokens is not None:
        return usage.total_tokens
    if usage.prompt_tokens is None and usage.completion_tokens is None:
        return None
    return (usage.prompt_tokens or 0) + (usage.completion_tokens or 0)


def may_have_been_paid(error: ParetaError) -> bool:
    """Return whether the service may have processed and debited the request despite this error."""
    match error:
        case APIConnectionError(never_sent=True) | ConflictError():
            return False
        case _:
            return verdict_of(error) is Verdict.TRANSIENT
