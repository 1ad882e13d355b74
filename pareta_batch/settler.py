"""Group commit: outcomes are written by one thread, in groups, and reported only once they are durable."""

import asyncio
import threading
from concurrent.futures import Future
from queue import Empty, SimpleQueue

from pareta_batch.errors import LedgerError
from pareta_batch.ledger import Ledger
from pareta_batch.outcomes import Outcome

_Entry = tuple[Outcome, Future[None]]


class Settler:
    """Writes a batch's outcomes to the ledger; whatever arrives while one group is written forms the next.

    A thread, not a task: an outcome handed over is written even if every task of the loop is cancelled.
    """

    def __init__(self, ledger: Ledger, batch: str) -> None:
        self._ledger = ledger
        self._batch = batch
        self._queue: SimpleQueue[_Entry | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._write_groups, name=f"settler of {batch}")
        self._thread.start()

    async def settle(self, outcome: Outcome) -> None:
        """Return once the outcome is durable.

        Raises LedgerError when it could not be written.
        """
        written: Future[None] = Future()
        self._queue.put((outcome, written))
        await asyncio.wrap_future(written)

    def close(self) -> None:
        """Write what was handed over, then end."""
        self._queue.put(None)
        self._thread.join()

    def _write_groups(self) -> None:
        last = False
        while not last:
            group, last = self._next_group()
            if group:
                self._write(group)

    def _next_group(self) -> tuple[list[_Entry], bool]:
        group: list[_Entry] = []
        entry = self._queue.get()
        while entry is not None:
            group.append(entry)
            try:
                entry = self._queue.get_nowait()
            except Empty:
                return group, False
        return group, True

    def _write(self, group: list[_Entry]) -> None:
        try:
            self._ledger.record(self._batch, [outcome for outcome, _ in group])
        except LedgerError as error:
            for _, written in group:
                if written.set_running_or_notify_cancel():
                    written.set_exception(error)
        else:
            for _, written in group:
                if written.set_running_or_notify_cancel():
                    written.set_result(None)
