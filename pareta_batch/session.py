"""One run of a batch in one process: what its rows share, and the way of a row from ask to settled."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pareta_batch.asks import Ask
from pareta_batch.batch import Batch
from pareta_batch.errors import BatchStopped, LedgerError, RowsUnanswered
from pareta_batch.fan_out import fan_out
from pareta_batch.identity import idempotency_key
from pareta_batch.ledger import Ledger
from pareta_batch.outcomes import Outcome
from pareta_batch.pressure import Pressure
from pareta_batch.progress import Progress
from pareta_batch.readiness import Reviver
from pareta_batch.settler import Settler
from pareta_client import AsyncPareta, ChatCompletion, ParetaError
from pareta_client.retry import Verdict, backoff, verdict_of

MOST_ATTEMPTS = 6
ROW_PATIENCE_S = 900.0
READY_DEADLINE_S = 900.0


class Session:
    """Everything the rows of one batch share while one process works on them."""

    def __init__(self, batch: Batch, pareta: AsyncPareta, ledger: Ledger) -> None:
        to_send = sum(ledger.missing_shards(batch.name, batch.shard_size).values())
        self.batch = batch
        self.stop: BatchStopped | None = None
        self.pressure = Pressure(batch.max_in_flight)
        total = ledger.tally(batch.name).total
        self.progress = Progress(batch.name, total, to_send, lambda: self.pressure.in_flight)
        # One attempt per call: the fan-out decides what a failed one means for everybody, and counts it.
        self._pareta = pareta.with_options(max_retries=0)
        self._ledger = ledger
        self._settler = Settler(ledger, batch.name)
        self._reviver = Reviver(pareta, batch.model, deadline_s=READY_DEADLINE_S)
        self._sampling = batch.sampling.fields()

    async def complete(self, shard: int) -> None:
        """Send what the ledger is missing of one shard, and settle each answer before it counts.

        Raises BatchStopped when the service refuses the whole batch, RowsUnanswered when rows failed in a way
        that may pass, LedgerError when an outcome cannot be written. What was paid is in the ledger in any case.
        """
        asks = await asyncio.to_thread(self._ledger.missing, self.batch.name, shard, self.batch.shard_size)
        unanswered: list[Outcome] = []

        async def work(ask: Ask) -> None:
            outcome = await self._row(ask)
            if outcome is not None and outcome.retryable:
                unanswered.append(outcome)

        workers = min(self.batch.max_in_flight, len(asks))
        await fan_out(asks, work, workers=workers, stopped=lambda: self.stop is not None)
        if self.stop is not None:
            raise self.stop
        if unanswered:
            last = unanswered[-1]
            raise RowsUnanswered(shard, len(unanswered), last.error or "", last.error_message or "")

    def close(self) -> None:
        """Write what was handed over to the ledger."""
        self._settler.close()

    async def _row(self, ask: Ask) -> Outcome | None:
        """Bring one row to its outcome; None when the batch was stopped before it had one."""
        began = time.monotonic()
        attempts = 0
        while True:
            async with self.pressure.slot():
                if self.stop is not None:
                    return None
                attempts += 1
                sent = time.monotonic()
                try:
                    completion = await self._send(ask)
                except ParetaError as failure:
                    error = failure
                else:
                    # Settled within the slot: it takes the next row only when this answer is durable.
                    return await self._settle(_answered(ask, attempts, completion, time.monotonic() - sent))
            verdict = verdict_of(error)
            if verdict is Verdict.FATAL_TO_ITEM:
                return await self._settle(_failed(ask, attempts, error, retryable=False))
            if verdict in (Verdict.FATAL_TO_BATCH, Verdict.OUT_OF_CREDIT):
                self._stop_for(error)
                return None
            patient = time.monotonic() - began < ROW_PATIENCE_S
            if not patient or (verdict is Verdict.TRANSIENT and attempts >= MOST_ATTEMPTS):
                return await self._settle(_failed(ask, attempts, error, retryable=True))
            await self._wait_after(error, verdict, attempts)

    async def _send(self, ask: Ask) -> ChatCompletion:
        completion: ChatCompletion = await self._pareta.chat.completions.create(
            model=self.batch.model,
            messages=list(ask.messages),
            idempotency_key=idempotency_key(self.batch.name, ask.key, ask.fingerprint),
            **self._sampling,
        )
        return completion

    async def _wait_after(self, error: ParetaError, verdict: Verdict, attempts: int) -> None:
        wait = backoff(attempts, jitter=random.random(), retry_after=getattr(error, "retry_after", None))  # noqa: S311
        if verdict is Verdict.RATE_LIMIT:
            self.pressure.hold(wait)
        elif verdict is Verdict.NOT_READY and self.batch.model != "auto":
            await self._revive()
        else:
            await asyncio.sleep(wait)

    async def _revive(self) -> None:
        """Wait with everybody else until the endpoint is live again; an endpoint that never is stops the batch."""
        try:
            await self._reviver.revive()
        except ParetaError as error:
            if verdict_of(error) is not Verdict.TRANSIENT:
                self._stop_for(error)

    async def _settle(self, outcome: Outcome) -> Outcome:
        try:
            await self._settler.settle(outcome)
        except LedgerError as error:
            self._stop_for(error)
            raise
        self.progress.count(outcome)
        return outcome

    def stop_because(self, reason: str, message: str) -> None:
        """Send nothing more; calls in flight finish and settle. The first reason stays."""
        self.stop = self.stop or BatchStopped(reason, message)

    def _stop_for(self, error: Exception) -> None:
        self.stop_because(type(error).__name__, str(error))


@asynccontextmanager
async def open_session(batch: Batch, pareta: AsyncPareta, ledger: Ledger) -> AsyncIterator[Session]:
    """Open a session; whatever ends it, the answers that were handed over are written."""
    session = await asyncio.to_thread(Session, batch, pareta, ledger)
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


def _answered(ask: Ask, attempts: int, completion: ChatCompletion, seconds: float) -> Outcome:
    choice = completion.choices[0] if completion.choices else None
    usage = completion.usage
    return Outcome(
        key=ask.key,
        fingerprint=ask.fingerprint,
        state="settled",
        attempts=attempts,
        answer=choice.message.content if choice and choice.message else None,
        finish_reason=choice.finish_reason if choice else None,
        request_id=completion.request_id,
        latency_ms=round(seconds * 1000, 1),
        prompt_tokens=usage.prompt_tokens if usage else None,
        completion_tokens=usage.completion_tokens if usage else None,
        billed_micro_usd=completion.billed_micro_usd,
    )


def _failed(ask: Ask, attempts: int, error: ParetaError, *, retryable: bool) -> Outcome:
    return Outcome(
        key=ask.key,
        fingerprint=ask.fingerprint,
        state="failed",
        attempts=attempts,
        error=type(error).__name__,
        error_message=str(error),
        retryable=retryable,
        request_id=getattr(error, "request_id", None),
    )
