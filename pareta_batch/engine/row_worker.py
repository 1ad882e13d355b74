"""The way of a row: reserved, claimed, let in, sent, settled; and what each failure means for it and for all."""

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

MOST_TRANSIENT = 6
LONGEST_HOLD_S = 900.0
"""Seconds without an answer that a service may ask for, of a row in all and of the batch."""


class RowWorker:
    """Brings one row to its outcome."""

    def __init__(self, session: "Session", ask: RowRequest) -> None:
        self._session = session
        self._ask = ask
        self._in_doubt = ask.in_doubt
        self._claimed = False
        self._seated = False
        self._attempts = 0
        self._transient = 0
        self._revivals = 0
        self._waited = 0.0
        self._billed: int | None = None
        self._last_error: ParetaError | None = None

    async def answer(self) -> Outcome | None:
        """Return the row's outcome once it is durable; None when the batch was stopped before it had one.

        Raises LedgerError, which stops the batch.
        """
        session = self._session
        try:
            outcome = await self._answer()
            if outcome is None and self._claimed:
                outcome = await self._give_back()
        except LedgerError as error:
            session.stop_for(error)
            raise
        except (asyncio.CancelledError, GeneratorExit):
            if self._claimed:
                self._give_back_soon()
            raise
        except BaseException as error:  # noqa: BLE001 - other rows wait for what this one holds
            session.stop_for(error, f"row {self._ask.key!r}")
            if self._claimed:
                self._give_back_soon()
            return None
        finally:
            session.budget.tells_no_more(self._ask.key)
        return outcome

    async def _give_back(self) -> Outcome | None:
        """Take back the claim of a row that is sent no more; one that was billed keeps its receipt as a failure."""
        if self._billed and self._last_error is not None:
            return await self._settle(self._failed(self._last_error, retryable=True))
        if not self._in_doubt:
            await self._session.group_commit.release(self._ask)
        return None

    def _give_back_soon(self) -> None:
        if self._billed and self._last_error is not None:
            self._session.group_commit.settle_soon(self._failed(self._last_error, retryable=True))
        elif not self._in_doubt:
            self._session.group_commit.release_soon(self._ask)

    async def _answer(self) -> Outcome | None:
        session = self._session
        # Claimed while others are in flight: a commit per row must not cost a slot its time.
        async with session.claim_ahead:
            if session.is_stopped():
                return None
            await session.group_commit.claim(self._ask)
            self._claimed = True
            if self._in_doubt:
                session.budget.may_tell(self._ask.key)
            await self._sit_down()
        while True:
            # Held until the answer is durable, and given up while the row waits for another attempt.
            try:
                came = await self._attempt()
            finally:
                self._stand_up()
            match came:
                case Outcome() | None:
                    return came
                case error if outcome := await self._after(error):
                    return await self._settle(outcome)
            if session.is_stopped():
                return None
            await self._sit_down()

    async def _sit_down(self) -> None:
        """Wait for a seat; a row that alone can tell the price takes none: those who wait for the price have them."""
        self._seated = not (self._in_doubt and self._session.budget.blocked)
        if self._seated:
            await self._session.in_flight.acquire()

    def _stand_up(self) -> None:
        if self._seated:
            self._session.in_flight.release()

    async def _attempt(self) -> Outcome | ParetaError | None:
        """Send once; None when the batch was stopped before."""
        session = self._session
        reservation = await session.budget.reserve(self._ask.prompt_bytes, again=self._in_doubt)
        if reservation is None:
            session.stop_because("BudgetReached", session.budget.why_full(session.batch.budget_usd))
            return None
        call = await session.gate.enter()
        if call is not None and session.is_stopped():  # while its turn was on the way
            session.gate.failed(call)
            call = None
        if call is None:
            session.budget.not_answered(reservation, in_doubt=False)
            return None
        self._attempts += 1
        sent = time.monotonic()
        session.contact.tried(sent)
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
            log.exception("%s: the reply to row %r cannot be read", session.batch.name, self._ask.key)
            return await self._settle(self._failed(error, retryable=False))
        return await self._settle_answer(completion, call, reservation, time.monotonic() - sent)

    async def _send(self) -> ChatCompletion:
        session, ask = self._session, self._ask
        completion: ChatCompletion = await session.pareta.chat.completions.create(
            model=session.batch.model,
            messages=ask.messages,
            idempotency_key=idempotency_key(session.batch.name, ask.key, ask.fingerprint),
            timeout=session.batch.timeout_s,
            **session.sampling,
        )
        return completion

    def _failed_attempt(self, error: ParetaError, call: Call, reservation: Reservation) -> None:
        """Count a failed attempt; what stops the batch stops it before another row can take the call's place."""
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
                session.budget.may_tell(self._ask.key)
            self._count_receipt(billed)
            if billed is None:
                session.budget.not_answered(reservation, in_doubt=doubt)
            else:
                session.budget.paid(reservation, billed, None, None)

    async def _settle_answer(
        self, completion: ChatCompletion, call: Call, reservation: Reservation, seconds: float
    ) -> Outcome:
        session, usage, billed = self._session, completion.usage, completion.billed_micro_usd
        session.contact.answered()
        self._count_receipt(billed)
        # The answer is paid: it is settled, whatever becomes of the gates.
        with session.stopped_by_faults("the rate limit"):
            session.gate.answered(call)
        with session.stopped_by_faults("the budget"):
            session.budget.paid(reservation, billed, usage.prompt_tokens, usage.completion_tokens)
        if billed is None and session.budget.budget is not None:
            session.stop_because("NoReceipts", "the service does not say what it bills: no budget can be kept")
        return await self._settle(await self._read(completion, seconds))

    async def _read(self, completion: ChatCompletion, seconds: float) -> Outcome:
        """Return the outcome of an answer; whatever reading or checking it raises is the outcome of its row."""
        known = {"resent": self._in_doubt, "latency_ms": round(seconds * 1000, 1)}
        try:
            fields = reply_fields(completion)
            if fields["flag"] is None and fields["answer"]:
                fit = await self._session.check(fields["answer"])
                fields["flag"] = None if fit == "fits" else fit
        except Exception as error:
            log.exception("%s: the answer of row %r cannot be read", self._session.batch.name, self._ask.key)
            return self._outcome("failed", **known, **unread_fields(completion, error))
        return self._outcome("settled", **known, **fields)

    def _count_receipt(self, billed: int | None) -> None:
        if billed is not None:
            self._billed = (self._billed or 0) + billed

    async def _settle(self, outcome: Outcome) -> Outcome:
        self._claimed = False  # the outcome takes the place of the claim, even if it is written only at the end
        written = await self._session.group_commit.settle(outcome)
        self._session.progress.count(written)
        return written

    async def _after(self, error: ParetaError) -> Outcome | None:
        """Do what the verdict says; return the outcome if there will be no other attempt."""
        session, verdict, now = self._session, verdict_of(error), time.monotonic()
        if session.contact.is_lost(error, now):
            session.stop_because("ServiceUnreachable", f"nothing answers at {session.address}: {error}")
            return None
        match verdict:
            case Verdict.FATAL_TO_ITEM:
                return self._failed(error, retryable=False)
            case Verdict.FATAL_TO_BATCH | Verdict.OUT_OF_CREDIT:
                return None
            case Verdict.RATE_LIMIT:
                if session.gate.limiter.starving_s(now) > LONGEST_HOLD_S:
                    session.stop_for(error)
                elif asked := retry_after_of(error):
                    session.progress.waits(now + asked, error)
            case Verdict.NOT_READY if self._may_revive() and await self._recovered():
                self._revivals += 1
                if self._revivals > 1:  # live as it says, and refusing all the same
                    await self._sleep(backoff(self._revivals - 1, random.random()))  # noqa: S311
            case _:
                return await self._after_transient(error, now)
        return None

    async def _after_transient(self, error: ParetaError, now: float) -> Outcome | None:
        """Wait before the next attempt, within the bounds of the row and of the batch."""
        session, asked = self._session, retry_after_of(error)
        self._transient += 1
        if self._transient >= MOST_TRANSIENT:
            return self._failed(error, retryable=True)
        if asked is not None:
            self._waited += asked
            if self._waited > LONGEST_HOLD_S:
                if session.contact.puts_all_off():
                    session.stop_for(error)
                return self._failed(error, retryable=True, besides=f"; it asked to wait {asked:.0f} s")
            if session.gate.limiter.starving_s(now) + asked > LONGEST_HOLD_S:
                session.stop_for(error)
                return None
            session.progress.waits(now + asked, error)
        await self._sleep(backoff(self._transient, random.random(), asked))  # noqa: S311
        return None

    def _may_revive(self) -> bool:
        return self._session.batch.model != "auto" and self._revivals < MOST_TRANSIENT

    async def _recovered(self) -> bool:
        """Wait with everybody else until the endpoint is live, or stop the batch for it; False if neither could be."""
        try:
            with self._session.gate.paused():
                await self._session.recovery.recover()
        except ParetaError as error:
            if verdict_of(error) is Verdict.TRANSIENT:
                return False
            self._session.stop_for(error)
        return True

    async def _sleep(self, seconds: float) -> None:
        """Sleep, but not past the stop of the batch."""
        try:
            async with asyncio.timeout(seconds):
                await self._session.stopped.wait()
        except TimeoutError:
            return

    def _failed(self, error: Exception, *, retryable: bool, besides: str = "") -> Outcome:
        return self._outcome(
            "failed",
            error=type(error).__name__,
            error_message=shown(error) + besides,
            retryable=retryable,
            in_doubt=self._in_doubt,
            request_id=getattr(error, "request_id", None),
        )

    def _outcome(self, state: State, **known: Any) -> Outcome:  # fields of an outcome
        key, work = self._ask.key, self._ask.fingerprint
        return Outcome(key, work, state, attempts=self._attempts, billed_micro_usd=self._billed, **known)


def may_have_been_paid(error: ParetaError) -> bool:
    """Say whether the service may have done the work, and debited it, before this error."""
    match error:
        case APIConnectionError(never_sent=True) | ConflictError():
            return False
        case _:
            return verdict_of(error) is Verdict.TRANSIENT
