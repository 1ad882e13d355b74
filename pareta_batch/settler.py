"""Group commit: claims and outcomes are written by one thread, in groups, and reported only once they are durable."""

import asyncio
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Literal

from pareta_batch.asks import Ask
from pareta_batch.entries import Entries
from pareta_batch.errors import LedgerError
from pareta_batch.ledger import Ledger
from pareta_batch.outcomes import Outcome

CLAIMS_WAIT_S = 0.005
LAST_TRIES = 4
LAST_TRIES_EVERY_S = 0.5

Kind = Literal["claim", "release", "outcome"]


@dataclass(frozen=True)
class _Entry:
    kind: Kind
    work: Ask | Outcome
    written: asyncio.Future[None] | None = None


class Settler:
    """Writes what a session claims and settles; whatever arrives while one group is written forms the next.

    A thread, not a task: an outcome handed over is written even if every task of the loop is cancelled.
    """

    def __init__(self, ledger: Ledger, batch: str) -> None:
        self._ledger = ledger
        self._batch = batch
        self._queue: SimpleQueue[_Entry | None] = SimpleQueue()
        self._unwritten: list[Outcome] = []
        self._thread = threading.Thread(target=self._write_groups, name=f"settler of {batch}")
        self._thread.start()

    async def claim(self, ask: Ask) -> None:
        """Return once it is durable that a request for this row is about to be sent; raises LedgerError."""
        await self._written("claim", ask)

    async def release(self, ask: Ask) -> None:
        """Take back a claim of which nothing was sent, or nothing that may have been paid; raises LedgerError."""
        await self._written("release", ask)

    def release_soon(self, ask: Ask) -> None:
        """Take back a claim without waiting until it is written."""
        self._queue.put(_Entry("release", ask))

    async def settle(self, outcome: Outcome) -> None:
        """Return once the outcome is durable; raises LedgerError."""
        await self._written("outcome", outcome)

    def close(self) -> int:
        """Write what was handed over, what failed before once more, and end; give how many outcomes are lost."""
        self._queue.put(None)
        self._thread.join()
        return len(self._unwritten)

    async def _written(self, kind: Kind, work: Ask | Outcome) -> None:
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.put(_Entry(kind, work, written))
        await written

    def _write_groups(self) -> None:
        last = False
        while not last:
            group, last = self._next_group()
            if group:
                self._write(group)
        self._try_again()

    def _next_group(self) -> tuple[list[_Entry], bool]:
        group: list[_Entry] = []
        urgent = False
        entry = self._queue.get()
        while entry is not None:
            group.append(entry)
            urgent = urgent or entry.kind == "outcome"
            try:
                # Claims are made ahead: they can wait a little for an outcome to share its commit with.
                entry = self._queue.get_nowait() if urgent else self._queue.get(timeout=CLAIMS_WAIT_S)
            except Empty:
                return group, False
        return group, True

    def _write(self, group: list[_Entry]) -> None:
        failure: LedgerError | None = None
        try:
            self._ledger.write(self._batch, _entries(group))
        except LedgerError as error:
            self._unwritten += _entries(group).outcomes
            failure = error
        # One call for the whole group: each wakes the loop, which costs more than what it then does for a row.
        if waiting := [entry.written for entry in group if entry.written is not None]:
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                waiting[0].get_loop().call_soon_threadsafe(_tell, waiting, failure)

    def _try_again(self) -> None:
        """Write outcomes that could not be written when they came: they may be paid answers, and a disk gets freed."""
        for _ in range(LAST_TRIES):
            if not self._unwritten:
                return
            try:
                self._ledger.write(self._batch, Entries(outcomes=self._unwritten))
            except LedgerError:
                time.sleep(LAST_TRIES_EVERY_S)
            else:
                self._unwritten = []


def _tell(waiting: Sequence["asyncio.Future[None]"], failure: LedgerError | None) -> None:
    for written in waiting:
        if written.done():  # whoever waited was cancelled
            continue
        if failure is None:
            written.set_result(None)
        else:
            written.set_exception(failure)


def _entries(group: list[_Entry]) -> Entries:
    asks: dict[str, list[Ask]] = {"claim": [], "release": []}
    outcomes: list[Outcome] = []
    for entry in group:
        match entry.work:
            case Ask() as ask:
                asks[entry.kind].append(ask)
            case Outcome() as outcome:
                outcomes.append(outcome)
    return Entries(asks["claim"], asks["release"], outcomes)
