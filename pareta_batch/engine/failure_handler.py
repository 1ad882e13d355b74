"""The effect of a failed attempt: the row fails, waits for its next attempt, or the batch stops."""

import asyncio
import random
import time
from dataclasses import KW_ONLY, dataclass

from pareta_batch.durations import duration_text
from pareta_batch.engine.endpoint_recovery import EndpointRecovery
from pareta_batch.engine.policy import RetryPolicy
from pareta_batch.engine.progress import Progress
from pareta_batch.engine.reachability import Reachability
from pareta_batch.engine.row_state import RowState
from pareta_batch.engine.stop import StopSignal
from pareta_batch.ledger import Outcome
from pareta_batch.rate_limit import AdmissionGate
from pareta_batch.spec import Batch
from pareta_client import ParetaError, Verdict, retry_after_of, verdict_of


@dataclass(frozen=True)
class FailureHandler:
    """Verdicts of failed attempts, applied to the rows of one session."""

    batch: Batch
    address: str
    recovery: EndpointRecovery
    policy: RetryPolicy
    _: KW_ONLY
    gate: AdmissionGate
    reachability: Reachability
    progress: Progress
    stop: StopSignal

    async def handle(self, row: RowState, error: ParetaError) -> Outcome | None:
        """Apply the error's verdict; return the outcome if the row will not be retried."""
        now = time.monotonic()
        if self.reachability.is_lost(error, now):
            self.stop.stop("ServiceUnreachable", f"nothing answers at {self.address}: {error}")
            return None
        match verdict_of(error):
            case Verdict.FATAL_TO_ITEM:
                return row.failed(error, retryable=False)
            case Verdict.FATAL_TO_BATCH | Verdict.OUT_OF_CREDIT:
                return None
            case Verdict.RATE_LIMIT:
                if self.gate.limiter.starving_s(now) > self.policy.max_pause_s:
                    self.stop.stop_for(error)
                elif asked := retry_after_of(error):
                    self.progress.report_wait(now + asked, error)
            case Verdict.NOT_READY if self._may_recover(row) and await self._recovered():
                row.recoveries += 1
                if row.recoveries > 1:  # it reports `live` and still refuses calls
                    await self._back_off(row.recoveries - 1)
            case _:
                return await self._after_transient(row, error, now)
        return None

    async def _after_transient(self, row: RowState, error: ParetaError, now: float) -> Outcome | None:
        """Wait before the next attempt, within the limits of the row and of the batch."""
        asked = retry_after_of(error)
        row.transient_failures += 1
        if row.transient_failures >= self.policy.max_transient_failures:
            return row.failed(error, retryable=True)
        if asked is not None:
            row.asked_to_wait_s += asked
            if row.asked_to_wait_s > self.policy.max_pause_s:
                if self.reachability.defers_batch():
                    self.stop.stop_for(error)
                return row.failed(error, retryable=True, detail=f"; it asked to wait {duration_text(asked)}")
            if self.gate.limiter.starving_s(now) + asked > self.policy.max_pause_s:
                self.stop.stop_for(error)
                return None
            self.progress.report_wait(now + asked, error)
        await self._back_off(row.transient_failures, asked)
        return None

    def _may_recover(self, row: RowState) -> bool:
        return self.batch.model != "auto" and row.recoveries < self.policy.max_transient_failures

    async def _recovered(self) -> bool:
        """Wait until the endpoint is live, or stop the batch; return False if the error counts as transient."""
        try:
            with self.gate.paused():
                await self.recovery.recover()
        except ParetaError as error:
            if verdict_of(error) is Verdict.TRANSIENT:
                return False
            self.stop.stop_for(error)
        return True

    async def _back_off(self, failures: int, asked: float | None = None) -> None:
        """Sleep before the next attempt, until the time is over or the batch is stopped."""
        try:
            async with asyncio.timeout(self.policy.backoff(failures, random.random(), asked)):  # noqa: S311
                await self.stop.woken.wait()
        except TimeoutError:
            return
