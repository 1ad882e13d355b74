"""Group commit: one thread writes claims and outcomes in groups, and reports them once they are durable."""

import asyncio
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Literal

from pareta_batch.errors import BatchError, BatchStopped, LedgerError, UnexpectedError
from pareta_batch.ledger.ledger import Ledger
from pareta_batch.ledger.outcomes import Outcome, unwritable
from pareta_batch.ledger.writes import LedgerWrites
from pareta_batch.rows import RowRequest

CLAIM_DELAY_S = 0.005
"""Seconds that claims wait for an outcome to share a commit with; higher makes fewer commits and slower claims."""
LAST_ATTEMPTS = 4
"""Attempts to write unwritten outcomes at the end; higher loses fewer, and ends later."""
WRITER = "the ledger's writer"

Kind = Literal["claim", "release", "outcome"]


@dataclass(frozen=True)
class _Entry:
    kind: Kind
    work: RowRequest | Outcome
    written: asyncio.Future[RowRequest | Outcome] | None = None


class GroupCommit:
    """Group commit of a session's claims and outcomes; entries that arrive during a commit form the next group.

    A thread, not a task: a queued outcome is written even if every task of the loop is cancelled. An exception of the
    thread is raised in every waiting row.
    """

    def __init__(self, ledger: Ledger, batch: str, *, last_interval_s: float) -> None:
        self._ledger = ledger
        self._last_interval_s = last_interval_s
        self._batch = batch
        self._queue: SimpleQueue[_Entry | None] = SimpleQueue()
        self._group: list[_Entry] = []
        self._ended = False
        self._unwritten: list[Outcome] = []
        self._thread = threading.Thread(target=self._run, name=f"group commit of {batch}")
        self._thread.start()

    async def claim(self, request: RowRequest) -> None:
        """Wait until the claim of a row, written before its request is sent, is durable; raises LedgerError."""
        await self._written("claim", request)

    async def release(self, request: RowRequest) -> None:
        """Release the claim of a row that was not sent, or certainly not paid; raises LedgerError."""
        await self._written("release", request)

    def release_soon(self, request: RowRequest) -> None:
        """Release a claim without waiting until that is durable."""
        self._queue.put(_Entry("release", request))

    async def settle(self, outcome: Outcome) -> Outcome:
        """Return the durable outcome: this one, or a failed outcome if this one cannot be written.

        Raises LedgerError, or UnexpectedError for an exception of the writer thread.
        """
        written = await self._written("outcome", outcome)
        assert isinstance(written, Outcome)
        return written

    def settle_soon(self, outcome: Outcome) -> None:
        """Write an outcome without waiting until it is durable."""
        self._queue.put(_Entry("outcome", outcome))

    def close(self) -> int:
        """Write queued entries, retry unwritten outcomes, end the thread, and return the number of lost outcomes."""
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
        except BaseException as error:  # noqa: BLE001 - rows wait for this thread: it must answer each of them
            self._refuse_all(UnexpectedError.of(error, WRITER))
        self._retry_unwritten()

    def _next_group(self) -> None:
        urgent = False
        entry = self._queue.get()
        while entry is not None:
            self._group.append(entry)
            urgent = urgent or entry.kind == "outcome"
            try:
                # Claims are made ahead: they can wait for an outcome and share its commit.
                entry = self._queue.get_nowait() if urgent else self._queue.get(timeout=CLAIM_DELAY_S)
            except Empty:
                return
        self._ended = True

    def _write(self, group: list[_Entry]) -> None:
        failure = self._attempt(group) if group else None
        if failure is None:
            return
        if isinstance(failure, BatchStopped):  # the run of this member was stopped: only claims are refused
            self._fail([entry for entry in group if entry.kind == "claim"], failure)
            self._write([entry for entry in group if entry.kind != "claim"])
        elif isinstance(failure, LedgerError):
            self._fail(group, failure)
        elif len(group) > 1:
            # A value that cannot be written must fail its own row only.
            for entry in group:
                self._write([entry])
        else:
            self._write_failure(group[0], UnexpectedError.of(failure, WRITER))

    def _attempt(self, group: Sequence[_Entry]) -> BaseException | None:
        """Write a group and report it as durable; return the exception if that fails."""
        try:
            self._ledger.write(self._batch, _entries(group))
        except BaseException as error:  # noqa: BLE001 - its rows wait for this thread
            return error
        _report(group, None)
        return None

    def _write_failure(self, entry: _Entry, failure: UnexpectedError) -> None:
        """Write a failed outcome with the receipt instead of one that cannot be written."""
        if isinstance(entry.work, Outcome):
            entry = _Entry("outcome", unwritable(entry.work, failure), entry.written)
            if self._attempt([entry]) is None:
                return
        self._fail([entry], failure)

    def _fail(self, group: Sequence[_Entry], failure: BatchError) -> None:
        self._unwritten += [entry.work for entry in group if isinstance(entry.work, Outcome)]
        _report(group, failure)

    def _refuse_all(self, failure: UnexpectedError) -> None:
        self._fail(self._group, failure)
        while not self._ended:
            if (entry := self._queue.get()) is None:
                return
            self._fail([entry], failure)

    def _retry_unwritten(self) -> None:
        """Retry outcomes that could not be written: they may be paid answers, and a full disk may have space again."""
        for _ in range(LAST_ATTEMPTS):
            if not self._unwritten:
                return
            try:
                self._ledger.write(self._batch, LedgerWrites(outcomes=self._unwritten))
            except BaseException:  # noqa: BLE001 - unwritten outcomes are counted as lost
                time.sleep(self._last_interval_s)
            else:
                self._unwritten = []


def _report(group: Sequence[_Entry], failure: BatchError | None) -> None:
    waiting = [(entry.written, entry.work) for entry in group if entry.written is not None]
    if not waiting:
        return
    # One call for the whole group: waking the loop costs more than completing the future of a row.
    with suppress(RuntimeError):  # the loop is closed: no row waits
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
    requests: dict[str, list[RowRequest]] = {"claim": [], "release": []}
    outcomes: list[Outcome] = []
    for entry in group:
        match entry.work:
            case RowRequest() as request:
                requests[entry.kind].append(request)
            case Outcome() as outcome:
                outcomes.append(outcome)
    return LedgerWrites(requests["claim"], requests["release"], outcomes)
