"""The life of a row: claim, permit, reservation, admission, send, settle; and the effect of each failure."""

import asyncio
import logging
import random
import time
from typing import TYPE_CHECKING, Any

from pareta_batch.engine.reply_outcome import reply_fields, unread_fields
from pareta_batch.errors import LedgerError, shown
from pareta_batch.ledger import Outcome, State
from pareta_batch.money import Reservation
from pareta_batch.rate_limit import Call
from pareta_batch.rows import RowRequest, idempotency_key
from pareta_client import (
    APIConnectionError,
    ChatCompletion,
    ConflictError,
    ParetaError,
    Verdict,
    backoff,
    retry_after_of,
    verdict_of,
)

if TYPE_CHECKING:
    from pareta_batch.engine.session import Session

log = logging.getLogger(__name__)

MAX_TRANSIENT_FAILURES = 6
"""Transient failures after which a row fails in this run; higher retries longer."""
MAX_PAUSE_S = 900.0
"""Seconds that a service may ask one row, or the batch, to wait without an answer; higher waits longer."""


class RowWorker:
    """The work on one row, from its claim to its durable outcome."""

    def __init__(self, session: "Session", request: RowRequest) -> None:
        self._session = session
        self._request = request
        self._in_doubt = request.in_doubt
        self._claimed = False
        self._has_permit = False
        self._attempts = 0
        self._transient = 0
        self._recoveries = 0
        self._asked_to_wait_s = 0.0
        self._billed: int | None = None
        self._last_error: ParetaError | None = None

    async def answer(self) -> Outcome | None:
        """Return the row's durable outcome; None if the batch was stopped first.

        Raises LedgerError, which stops the batch.
        """
        session = self._session
        try:
            outcome = await self._answer()
            if outcome is None and self._claimed:
                outcome = await self._withdraw_claim()
        except LedgerError as error:
            session.stop_for(error)
            raise
        except (asyncio.CancelledError, GeneratorExit):
            if self._claimed:
                self._withdraw_claim_soon()
            raise
        except BaseException as error:  # noqa: BLE001 - other rows wait for this row's permits
            session.stop_for(error, f"row {self._request.key!r}")
            if self._claimed:
                self._withdraw_claim_soon()
            return None
        finally:
            session.budget.withdraw_price_source(self._request.key)
        return outcome

    async def _withdraw_claim(self) -> Outcome | None:
        """Withdraw the claim of a row that will not be sent; a billed row fails instead, and keeps its receipt."""
        if self._billed and self._last_error is not None:
            return await self._settle(self._failed(self._last_error, retryable=True))
        if not self._in_doubt:
            await self._session.group_commit.release(self._request)
        return None

    def _withdraw_claim_soon(self) -> None:
        if self._billed and self._last_error is not None:
            self._session.group_commit.settle_soon(self._failed(self._last_error, retryable=True))
        elif not self._in_doubt:
            self._session.group_commit.release_soon(self._request)

    async def _answer(self) -> Outcome | None:
        session = self._session
        # The claim is committed while other calls are in flight, so that no permit waits for a commit.
        async with session.claim_ahead:
            if session.is_stopped():
                return None
            await session.group_commit.claim(self._request)
            self._claimed = True
            if self._in_doubt:
                session.budget.add_price_source(self._request.key)
            await self._acquire_permit()
        while True:
            # The permit is held until the answer is durable, and released while the row waits for a retry.
            try:
                result = await self._attempt()
            finally:
                self._release_permit()
            match result:
                case Outcome() | None:
                    return result
                case error if outcome := await self._handle_error(error):
                    return await self._settle(outcome)
            if session.is_stopped():
                return None
            await self._acquire_permit()

    async def _acquire_permit(self) -> None:
        """Acquire an in-flight permit.

        While no price is known, the rows that wait for one hold the permits: the row in doubt, whose receipt can
        reveal the price, goes without.
        """
        self._has_permit = not (self._in_doubt and self._session.budget.blocked)
        if self._has_permit:
            await self._session.in_flight.acquire()

    def _release_permit(self) -> None:
        if self._has_permit:
            self._session.in_flight.release()

    async def _attempt(self) -> Outcome | ParetaError | None:
        """Send the request once, and return its outcome or error; None if the batch was stopped first."""
        session = self._session
        reservation = await session.budget.reserve(self._request.prompt_bytes, again=self._in_doubt)
        if reservation is None:
            session.stop_because("BudgetReached", session.budget.exhausted_reason(session.batch.budget_usd))
            return None
        call = await session.gate.enter()
        if call is not None and session.is_stopped():  # stopped between admission and this step
            session.gate.failed(call)
            call = None
        if call is None:
            session.budget.not_answered(reservation, in_doubt=False)
            return None
        self._attempts += 1
        sent = time.monotonic()
        session.reachability.tried(sent)
        try:
            completion = await self._send()
        except ParetaError as error:
            self._failed_attempt(error, call, reservation)
            return error
        except BaseException as error:
            self._in_doubt = True
            with session.stopped_by_faults("the gates"):
                session.gate.failed(call)
                session.budget.not_answered(reservation, in_doubt=True)
            if not isinstance(error, Exception):
                raise
            log.exception("%s: the reply to row %r cannot be read", session.batch.name, self._request.key)
            return await self._settle(self._failed(error, retryable=False))
        return await self._settle_answer(completion, call, reservation, time.monotonic() - sent)

    async def _send(self) -> ChatCompletion:
        session, request = self._session, self._request
        completion: ChatCompletion = await session.pareta.chat.completions.create(
            model=session.batch.model,
            messages=request.messages,
            idempotency_key=idempotency_key(session.batch.name, request.key, request.fingerprint),
            timeout=session.batch.timeout_s,
            **session.sampling,
        )
        return completion

    def _failed_attempt(self, error: ParetaError, call: Call, reservation: Reservation) -> None:
        """Record a failed attempt; an error that is fatal to the batch stops it before another call is admitted."""
        session, verdict, billed = self._session, verdict_of(error), error.billed_micro_usd
        self._last_error = error
        if verdict in (Verdict.FATAL_TO_BATCH, Verdict.OUT_OF_CREDIT):
            session.stop_for(error)
        doubt = billed is None and may_have_been_paid(error)
        self._in_doubt = self._in_doubt or doubt
        with session.stopped_by_faults("the rate limit"):
            if verdict is Verdict.RATE_LIMIT:
                session.gate.refused(call, retry_after_of(error))
            else:
                session.gate.failed(call)
        with session.stopped_by_faults("the budget"):
            if doubt:
                session.budget.add_price_source(self._request.key)
            self._count_receipt(billed)
            if billed is None:
                session.budget.not_answered(reservation, in_doubt=doubt)
            else:
                session.budget.paid(reservation, billed, None, None)

    async def _settle_answer(
        self, completion: ChatCompletion, call: Call, reservation: Reservation, seconds: float
    ) -> Outcome:
        session, usage, billed = self._session, completion.usage, completion.billed_micro_usd
        session.reachability.answered()
        self._count_receipt(billed)
        # The answer is paid: it must be settled even if a gate fails.
        with session.stopped_by_faults("the rate limit"):
            session.gate.answered(call)
        with session.stopped_by_faults("the budget"):
            session.budget.paid(reservation, billed, usage.prompt_tokens, usage.completion_tokens)
        if billed is None and session.budget.budget is not None:
            session.stop_because("NoReceipts", "the service does not say what it bills: no budget can be kept")
        return await self._settle(await self._read(completion, seconds))

    async def _read(self, completion: ChatCompletion, seconds: float) -> Outcome:
        """Return the outcome of an answer; an exception while it is read or checked becomes a failed outcome."""
        known = {"resent": self._in_doubt, "latency_ms": round(seconds * 1000, 1)}
        try:
            fields = reply_fields(completion)
            if fields["flag"] is None and fields["answer"]:
                fit = await self._session.check(fields["answer"])
                fields["flag"] = None if fit == "fits" else fit
        except Exception as error:
            log.exception("%s: the answer of row %r cannot be read", self._session.batch.name, self._request.key)
            return self._outcome("failed", **known, **unread_fields(completion, error))
        return self._outcome("settled", **known, **fields)

    def _count_receipt(self, billed: int | None) -> None:
        if billed is not None:
            self._billed = (self._billed or 0) + billed

    async def _settle(self, outcome: Outcome) -> Outcome:
        self._claimed = False  # the outcome replaces the claim, even if it is written only when the session closes
        written = await self._session.group_commit.settle(outcome)
        self._session.progress.count(written)
        return written

    async def _handle_error(self, error: ParetaError) -> Outcome | None:
        """Apply the error's verdict; return the outcome if the row will not be retried."""
        session, verdict, now = self._session, verdict_of(error), time.monotonic()
        if session.reachability.is_lost(error, now):
            session.stop_because("ServiceUnreachable", f"nothing answers at {session.address}: {error}")
            return None
        match verdict:
            case Verdict.FATAL_TO_ITEM:
                return self._failed(error, retryable=False)
            case Verdict.FATAL_TO_BATCH | Verdict.OUT_OF_CREDIT:
                return None
            case Verdict.RATE_LIMIT:
                if session.gate.limiter.starving_s(now) > MAX_PAUSE_S:
                    session.stop_for(error)
                elif asked := retry_after_of(error):
                    session.progress.report_wait(now + asked, error)
            case Verdict.NOT_READY if self._may_recover() and await self._recovered():
                self._recoveries += 1
                if self._recoveries > 1:  # it reports `live` and still refuses calls
                    await self._sleep(backoff(self._recoveries - 1, random.random()))  # noqa: S311
            case _:
                return await self._after_transient(error, now)
        return None

    async def _after_transient(self, error: ParetaError, now: float) -> Outcome | None:
        """Wait before the next attempt, within the limits of the row and of the batch."""
        session, asked = self._session, retry_after_of(error)
        self._transient += 1
        if self._transient >= MAX_TRANSIENT_FAILURES:
            return self._failed(error, retryable=True)
        if asked is not None:
            self._asked_to_wait_s += asked
            if self._asked_to_wait_s > MAX_PAUSE_S:
                if session.reachability.defers_batch():
                    session.stop_for(error)
                return self._failed(error, retryable=True, detail=f"; it asked to wait {asked:.0f} s")
            if session.gate.limiter.starving_s(now) + asked > MAX_PAUSE_S:
                session.stop_for(error)
                return None
            session.progress.report_wait(now + asked, error)
        await self._sleep(backoff(self._transient, random.random(), asked))  # noqa: S311
        return None

    def _may_recover(self) -> bool:
        return self._session.batch.model != "auto" and self._recoveries < MAX_TRANSIENT_FAILURES

    async def _recovered(self) -> bool:
        """Wait until the endpoint is live, or stop the batch; return False for a transient error of the wait."""
        try:
            with self._session.gate.paused():
                await self._session.recovery.recover()
        except ParetaError as error:
            if verdict_of(error) is Verdict.TRANSIENT:
                return False
            self._session.stop_for(error)
        return True

    async def _sleep(self, seconds: float) -> None:
        """Sleep until the time is over or the batch is stopped."""
        try:
            async with asyncio.timeout(seconds):
                await self._session.stopped.wait()
        except TimeoutError:
            return

    def _failed(self, error: Exception, *, retryable: bool, detail: str = "") -> Outcome:
        return self._outcome(
            "failed",
            error=type(error).__name__,
            error_message=shown(error) + detail,
            retryable=retryable,
            in_doubt=self._in_doubt,
            request_id=getattr(error, "request_id", None),
        )

    def _outcome(self, state: State, **known: Any) -> Outcome:  # fields of an outcome
        key, work = self._request.key, self._request.fingerprint
        return Outcome(key, work, state, attempts=self._attempts, billed_micro_usd=self._billed, **known)


def may_have_been_paid(error: ParetaError) -> bool:
    """Return whether the service may have processed and debited the request despite this error."""
    match error:
        case APIConnectionError(never_sent=True) | ConflictError():
            return False
        case _:
            return verdict_of(error) is Verdict.TRANSIENT
