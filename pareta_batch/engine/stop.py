"""The decision to stop sending, shared by all parts of a session."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pareta_batch.errors import BatchError, BatchStopped, UnexpectedError, stop_reason
from pareta_client import ParetaError

log = logging.getLogger(__name__)


class StopSignal:
    """The reason to stop sending, once there is one; calls in flight finish and settle. Safe from any thread.

    `woken`: set on the session's loop after a stop, for rows that sleep.
    """

    def __init__(self, batch: str) -> None:
        self.reason: BatchStopped | None = None
        self.woken = asyncio.Event()
        self._batch = batch
        self._wakes: list[Callable[[], object]] = []

    def is_set(self) -> bool:
        """Return whether nothing more is sent."""
        return self.reason is not None

    def on_stop(self, wake: Callable[[], object]) -> None:
        """Add a function that is called at every stop, from any thread."""
        self._wakes.append(wake)

    def stop(self, reason: str, message: str) -> None:
        """Stop sending; the first reason is kept."""
        self.reason = self.reason or BatchStopped(reason, message)
        for wake in self._wakes:
            wake()

    def stop_for(self, error: BaseException, where: str = "the engine") -> None:
        """Stop because of an error; the message contains the id of the request.

        A BatchStopped keeps its reason. Any exception but BatchError and ParetaError becomes an UnexpectedError of
        the part `where`.
        """
        if isinstance(error, BatchStopped):
            self.stop(error.reason, error.message)
            return
        if not isinstance(error, BatchError | ParetaError):
            log.error("%s stops for an unexpected exception in %s", self._batch, where, exc_info=error)
            error = UnexpectedError.of(error, where)
        request = getattr(error, "request_id", None)
        self.stop(stop_reason(error), f"{error} (request {request})" if request else str(error))

    @contextmanager
    def stopped_by_faults(self, where: str) -> Iterator[None]:
        """Stop for any exception of the body, and continue: a received answer has still to be settled."""
        try:
            yield
        except BaseException as error:  # noqa: BLE001 - the answer is paid
            self.stop_for(error, where)

    def report_lost(self, outcomes: int) -> None:
        """Add the number of outcomes that could not be written to the reason."""
        if outcomes:
            lost = f"{outcomes} outcomes, which may be paid answers, could not be written to the ledger"
            stop = self.reason or BatchStopped("LedgerError", "the ledger failed at the end of the run")
            self.reason = BatchStopped(stop.reason, f"{stop.message}; {lost}")
