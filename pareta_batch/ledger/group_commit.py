"""Group commit: claims and outcomes are written by one thread, in groups, and reported only once they are durable."""

import asyncio
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Literal

from pareta_batch.errors import BatchError, LedgerError, UnexpectedError
from pareta_batch.ledger.ledger import Ledger
from pareta_batch.ledger.outcomes import Outcome, unwritable
from pareta_batch.ledger.writes import LedgerWrites
from pareta_batch.rows import RowRequest

CLAIMS_WAIT_S = 0.005
LAST_TRIES = 4
LAST_TRIES_EVERY_S = 0.5
WRITER = "the ledger's writer"

Kind = Literal["claim", "release", "outcome"]


@dataclass(frozen=True)
class _Entry:
    kind: Kind
    work: RowRequest | Outcome
    written: asyncio.Future[RowRequest | Outcome] | None = None


class GroupCommit:
    """Writes what a session claims and settles; whatever arrives while one group is written forms the next.

    A thread, not a task: an outcome handed over is written even if every task of the loop is cancelled. Every
    exception of the thread reaches all that wait for it.
    """

    def __init__(self, ledger: Ledger, batch: str) -> None:
        self._ledger = ledger
        self._batch = batch
        self._queue: SimpleQueue[_Entry | None] = SimpleQueue()
        self._group: list[_Entry] = []
        self._ended = False
        self._unwritten: list[Outcome] = []
        self._thread = threading.Thread(target=self._run, name=f"settler of {batch}")
        self._thread.start()

    async def claim(self, ask: RowRequest) -> None:
        """Return once it is durable that a request for this row is about to be sent; raises LedgerError."""
        await self._written("claim", ask)

    async def release(self, ask: RowRequest) -> None:
        """Take back a claim of which nothing was sent, or nothing that may have been paid; raises LedgerError."""
        await self._written("release", ask)

    def release_soon(self, ask: RowRequest) -> None:
        """Take back a claim without waiting until it is written."""
        self._queue.put(_Entry("release", ask))

    async def settle(self, outcome: Outcome) -> Outcome:
        """Return the outcome that is durable: this one, or a failure in its place where this one cannot be written.

        Raises LedgerError, or UnexpectedError when the writer itself is broken.
        """
        written = await self._written("outcome", outcome)
        assert isinstance(written, Outcome)
        return written

    def settle_soon(self, outcome: Outcome) -> None:
        """Write an outcome without waiting until it is durable."""
        self._queue.put(_Entry("outcome", outcome))

    def close(self) -> int:
        """Write what was handed over, what failed before once more, and end; return how many outcomes are lost."""
        self._queue.put(None)
        self._thread.join()
        return len(self._unwritten)

    async def _written(self, kind: Kind, work: RowRequest | Outcome) -> RowRequest | Outcome:
        written: asyncio.Future[RowRequest | Outcome] = asyncio.get_running_loop().create_future()
        self._queue.put(_Entry(kind, work, written))
        return await written

    def _run(self) -> None:
        try:
            while not self._ended:
                self._next_group()
                self._write(self._group)
                self._group = []
        except BaseException as error:  # noqa: BLE001 - rows wait for this thread: it refuses, but does not die
            self._refuse_all(UnexpectedError.of(error, WRITER))
        self._try_again()

    def _next_group(self) -> None:
        urgent = False
        entry = self._queue.get()
        while entry is not None:
            self._group.append(entry)
            urgent = urgent or entry.kind == "outcome"
            try:
                # Claims are made ahead: they can wait a little for an outcome to share its commit with.
                entry = self._queue.get_nowait() if urgent else self._queue.get(timeout=CLAIMS_WAIT_S)
            except Empty:
                return
        self._ended = True

    def _write(self, group: list[_Entry]) -> None:
        failure = self._attempt(group) if group else None
        if failure is None:
            return
        if isinstance(failure, LedgerError):
            self._fail(group, failure)
        elif len(group) > 1:
            # A value that cannot be written costs its own row only.
            for entry in group:
                self._write([entry])
        else:
            self._write_failure(group[0], UnexpectedError.of(failure, WRITER))

    def _attempt(self, group: Sequence[_Entry]) -> BaseException | None:
        """Write a group and report it as durable; return what was raised instead."""
        try:
            self._ledger.write(self._batch, _entries(group))
        except BaseException as error:  # noqa: BLE001 - its rows wait for this thread
            return error
        _tell(group, None)
        return None

    def _write_failure(self, entry: _Entry, failure: UnexpectedError) -> None:
        """Write a failure with the receipt in place of an outcome that cannot be written."""
        if isinstance(entry.work, Outcome):
            entry = _Entry("outcome", unwritable(entry.work, failure), entry.written)
            if self._attempt([entry]) is None:
                return
        self._fail([entry], failure)

    def _fail(self, group: Sequence[_Entry], failure: BatchError) -> None:
        self._unwritten += [entry.work for entry in group if isinstance(entry.work, Outcome)]
        _tell(group, failure)

    def _refuse_all(self, failure: UnexpectedError) -> None:
        self._fail(self._group, failure)
        while not self._ended:
            if (entry := self._queue.get()) is None:
                return
            self._fail([entry], failure)

    def _try_again(self) -> None:
        """Write outcomes that could not be written when they came: they may be paid answers, and a disk gets freed."""
        for _ in range(LAST_TRIES):
            if not self._unwritten:
                return
            try:
                self._ledger.write(self._batch, LedgerWrites(outcomes=self._unwritten))
            except BaseException:  # noqa: BLE001 - those left are counted as lost
                time.sleep(LAST_TRIES_EVERY_S)
            else:
                self._unwritten = []


def _tell(group: Sequence[_Entry], failure: BatchError | None) -> None:
    waiting = [(entry.written, entry.work) for entry in group if entry.written is not None]
    if not waiting:
        return
    # One call for the whole group: each wakes the loop, which costs more than what it then does for a row.
    with suppress(RuntimeError):  # the loop is closed: no row waits any more
        waiting[0][0].get_loop().call_soon_threadsafe(_end_waits, waiting, failure)


def _end_waits(
    waiting: Sequence[tuple["asyncio.Future[RowRequest | Outcome]", RowRequest | Outcome]], failure: BatchError | None
) -> None:
    for written, work in waiting:
        if written.done():  # its row was cancelled
            continue
        if failure is None:
            written.set_result(work)
        else:
            written.set_exception(failure)


def _entries(group: Sequence[_Entry]) -> LedgerWrites:
    asks: dict[str, list[RowRequest]] = {"claim": [], "release": []}
    outcomes: list[Outcome] = []
    for entry in group:
        match entry.work:
            case RowRequest() as ask:
                asks[entry.kind].append(ask)
            case Outcome() as outcome:
                outcomes.append(outcome)
    return LedgerWrites(asks["claim"], asks["release"], outcomes)
