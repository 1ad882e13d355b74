"""Group commit: one thread writes claims and outcomes in groups, and reports them once they are durable."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Literal, NamedTuple

from pareta_batch.errors import BatchError, BatchStopped, LedgerError, UnexpectedError
from pareta_batch.ledger.ledger import Ledger
from pareta_batch.ledger.outcomes import Outcome, unwritable
from pareta_batch.ledger.writes import LedgerWrites
from pareta_batch.rows import RowRequest

LAST_ATTEMPTS = 4
"""Attempts to write unwritten outcomes at the end; higher loses fewer, and ends later."""
WRITER = "the ledger's writer"

EntryKind = Literal["claim", "release", "outcome"]


class Writing(NamedTuple):
    """Numbers of entries that are being written."""

    claims: int = 0
    outcomes: int = 0


NOTHING = Writing()


class GroupWait(NamedTuple):
    """The wait of a group for more entries: `delay_s` seconds, or until one is added that is urgent.

    `urgent`: a function of the kind of an added entry and of what is being written. `joined`: whether other entries of
    the same iteration of the event loop join an urgent one. Higher delays make fewer transactions and later outcomes.
    """

    delay_s: float
    urgent: Callable[[EntryKind, Writing], bool]
    joined: bool


@dataclass(frozen=True)
class _Entry:
    kind: EntryKind
    work: RowRequest | Outcome
    written: asyncio.Future[RowRequest | Outcome] | None = None

    @property
    def is_void(self) -> bool:
        """Whether this is the claim of a row that was cancelled meanwhile: written, it would leave a doubt."""
        return self.kind == "claim" and self.written is not None and self.written.cancelled()


class GroupCommit:
    """Group commit of a session's claims and outcomes; entries that arrive during a commit form the next group.

    A thread, not a task: a queued outcome is written even if every task of the loop is cancelled. An exception of the
    thread is raised in every waiting row.
    """

    def __init__(self, ledger: Ledger, batch: str, wait: GroupWait, *, last_interval_s: float) -> None:
        self._ledger = ledger
        self._wait = wait
        self._writing = NOTHING
        self._waiting: list[_Entry] = []
        self._timer: asyncio.TimerHandle | None = None
        self._is_due = False
        self._last_interval_s = last_interval_s
        self._batch = batch
        self._queue: SimpleQueue[list[_Entry] | None] = SimpleQueue()
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
        self._queue.put([_Entry("release", request)])

    async def settle(self, outcome: Outcome) -> Outcome:
        """Return the durable outcome: this one, or a failed outcome if this one cannot be written.

        Raises LedgerError, or UnexpectedError for an exception of the writer thread.
        """
        written = await self._written("outcome", outcome)
        assert isinstance(written, Outcome)
        return written

    def settle_soon(self, outcome: Outcome) -> None:
        """Write an outcome without waiting until it is durable."""
        self._queue.put([_Entry("outcome", outcome)])

    def close(self) -> int:
        """Write queued entries, retry unwritten outcomes, end the thread, and return the number of lost outcomes."""
        self._flush()
        self._queue.put(None)
        self._thread.join()
        return len(self._unwritten)

    async def _written(self, kind: EntryKind, work: RowRequest | Outcome) -> RowRequest | Outcome:
        loop = asyncio.get_running_loop()
        written: asyncio.Future[RowRequest | Outcome] = loop.create_future()
        self._waiting.append(_Entry(kind, work, written))
        if self._is_due:
            pass  # this entry joins the group
        elif self._wait.urgent(kind, self._writing):
            self._is_due = self._wait.joined
            loop.call_soon(self._flush) if self._is_due else self._flush()
        elif self._timer is None:
            self._timer = loop.call_later(self._wait.delay_s, self._flush)
        return await written

    def _flush(self) -> None:
        """Pass the waiting entries to the thread: once for the group, because waking it costs more than an entry."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._is_due = None, False
        group, self._waiting = self._waiting, []
        self._queue.put(group)

    def _run(self) -> None:
        try:
            while not self._ended:
                self._next_group()
                self._write([entry for entry in self._group if not entry.is_void])
                self._group = []
        except BaseException as error:  # noqa: BLE001 - rows wait for this thread: it must answer each of them
            self._refuse_all(UnexpectedError.of(error, WRITER))
        self._retry_unwritten()

    def _next_group(self) -> None:
        entries = self._queue.get()
        with suppress(Empty):
            while entries is not None:
                self._group += entries
                entries = self._queue.get_nowait()
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
        counts = Counter(entry.kind for entry in group)
        self._writing = Writing(counts["claim"], counts["outcome"])
        try:
            self._ledger.write(self._batch, _entries(group))
        except BaseException as error:  # noqa: BLE001 - its rows wait for this thread
            return error
        self._report(group, None)
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
        self._report(group, failure)

    def _report(self, group: Sequence[_Entry], failure: BatchError | None) -> None:
        waiting = [(entry.written, entry.work) for entry in group if entry.written is not None]
        if not waiting:
            return
        # One call for the whole group: waking the loop costs more than completing the future of a row.
        with suppress(RuntimeError):  # the loop is closed: no row waits
            waiting[0][0].get_loop().call_soon_threadsafe(self._end_waits, waiting, failure)

    def _end_waits(
        self,
        waiting: Sequence[tuple["asyncio.Future[RowRequest | Outcome]", RowRequest | Outcome]],
        failure: BatchError | None,
    ) -> None:
        self._writing = NOTHING
        for written, work in waiting:
            if written.done():  # its row was cancelled
                continue
            if failure is None:
                written.set_result(work)
            else:
                written.set_exception(failure)

    def _refuse_all(self, failure: UnexpectedError) -> None:
        self._fail(self._group, failure)
        while not self._ended:
            if (entries := self._queue.get()) is None:
                return
            self._fail(entries, failure)

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
