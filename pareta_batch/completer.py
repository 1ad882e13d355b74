"""Blocks of a data frame engine to answers: `dataset.map_batches(ParetaCompleter, …)` of Ray Data."""

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import wait
from contextlib import ExitStack, closing
from functools import cache, partial
from typing import Any

import pyarrow

from pareta_batch.answers import Outcomes, block_results
from pareta_batch.engine import LoopThread
from pareta_batch.field_problems import InvalidOptions
from pareta_batch.ledger import Ledger, open_batch
from pareta_batch.members import BlockSessions
from pareta_batch.notebook import BatchOptions, batch_of, derived_name, with_columns
from pareta_batch.rows import RowRequest, Table, block_requests, digest, is_table
from pareta_batch.spec import Batch
from pareta_client import AsyncPareta

Block = Any  # a table of Arrow, a data frame, or a mapping of columns, which have no common type

CLOSE_TIMEOUT_S = 1.0
"""Seconds for the tasks that are left when a process closes its session. Higher waits longer for one that hangs."""
LEAVE_TIMEOUT_S = 15.0
"""Seconds that a process waits at its end for its calls in flight. Higher loses fewer answers, and ends later."""
SHARD_ROWS = 10_000
"""Rows that share one pool of workers: the pool is limited by `max_in_flight` alone. Raising it changes nothing."""


class ParetaCompleter:
    """Answers for blocks of rows, in any number of processes; a row that the ledger has an answer for is not sent.

    An actor of Ray Data, and a function on data frames, as for `map_partitions` of Dask. All processes share one batch
    of the ledger, its `max_in_flight` and its `budget_usd`. A row is identified by its request, in any block: equal
    requests share one answer. With a temperature above 0, or `reuse: {duplicates: False}`, a row is identified by its
    request and its id: the value of `id_column`, else all values of the row.

    The ledger is that of PARETA_LEDGER_URL, and the key PARETA_API_KEY, in each process. Several processes need
    PostgreSQL. They are read at the first block; an empty block only gets the columns.
    """

    def __init__(self, batch: Mapping[str, Any]) -> None:
        """Check the fields of the batch; nothing is opened or sent.

        Args:
            batch: `name`, `model` (by default auto), and the keyword arguments of `complete`.

        Raises:
            InvalidOptions: A field is missing or not valid.
        """
        self._fields = dict(batch)
        self._batch = _checked(self._fields)

    def __reduce__(self) -> tuple[type["ParetaCompleter"], tuple[dict[str, Any]]]:
        return type(self), (self._fields,)

    def __call__(self, block: Block) -> Block:
        """Return the block with columns of answers; a mapping of columns becomes a table of Arrow.

        The columns are those of `complete`, the same for all blocks. A row that failed has its error in `error`.

        Raises:
            BatchStopped: The batch was stopped in all processes, for example without credit. The next call continues.
            DatasetError: A row is invalid; nothing of the block was sent.
            InvalidOptions: The batch has another question, or another process has another budget for it.
            LedgerError: The ledger cannot be used, or it is SQLite and another process uses it.
            BatchBusy: An ordinary run has the same batch.
        """
        frame = block if is_table(block) else pyarrow.table(dict(block))
        table = Table.of(frame)
        requests: list[RowRequest] = []
        if table.content.num_rows:
            requests = block_requests(self._batch.model_copy(update={"dataset": table}))
        results = block_results(self._batch, table.content.schema, *self._settled(requests))
        return with_columns(frame, table.content, results)

    def close(self) -> None:
        """Close the session and the ledger that this process has for the batch; the next block opens them again."""
        with _one_change:
            opened = _opened.pop(self._key, None)
        if opened is not None:
            opened.close()

    @property
    def _key(self) -> tuple[object, ...]:
        # A forked process has no threads of its parent.
        return (os.getpid(), digest(self._batch.model_dump(mode="json")), *map(os.environ.get, _SOURCES))

    def _settled(self, requests: Sequence[RowRequest]) -> tuple[Sequence[str], Callable[[Sequence[str]], Outcomes]]:
        """Settle the rows of a block; return their keys, and a function that reads outcomes."""
        if not requests:
            return (), lambda _: {}
        with _one_change:
            if (opened := _opened.get(self._key)) is None:
                opened = _opened[self._key] = _Opened(self._batch)
        opened.settle({request.key: request for request in requests})
        return [request.key for request in requests], partial(opened.ledger.outcomes_of, self._batch.name)


class _Opened:
    """The ledger and the session of this process for one batch."""

    def __init__(self, batch: Batch) -> None:
        with ExitStack() as opened:
            self.ledger = opened.enter_context(closing(Ledger.open()))
            _check_name(batch, self.ledger)
            opened.pop_all()
        self._sessions = BlockSessions(batch, self.ledger, AsyncPareta.from_env)
        # A daemon, as are the threads that it starts: a process that ends without `close` waits for no thread.
        self._loop = LoopThread(f"blocks of {batch.name}", daemon=True)
        _watch_main_thread(os.getpid())

    def settle(self, requests: Mapping[str, RowRequest]) -> None:
        """Send the rows, by key, that have no final outcome; Ctrl-C stops sending, and calls in flight settle first."""
        settling = self._loop.submit(self._sessions.settle(requests))
        try:
            settling.result()
        except KeyboardInterrupt:
            settling.cancel()
            self._loop.submit(self._sessions.close()).result()
            raise

    def leave(self) -> None:
        """Close the session of a process that ends, for a limited time; its errors cannot be reported any more."""
        wait([self._loop.submit(self._sessions.close())], timeout=LEAVE_TIMEOUT_S)

    def close(self) -> None:
        """Close the session and the ledger."""
        self._loop.submit(self._sessions.close()).result()
        self._loop.close(_nothing(), within_s=CLOSE_TIMEOUT_S)
        self.ledger.close()


@cache
def _watch_main_thread(process: int) -> None:
    """Close the sessions of this process when its main thread ends; once for a process id."""
    # No daemon: the process waits for it. Without this, the others would withhold the share of a dead member.
    threading.Thread(target=_leave_at_end, name=f"end of process {process}", daemon=False).start()


def _leave_at_end() -> None:
    threading.main_thread().join()
    # A forked process has a copy of the sessions of its parent, without their threads.
    for opened in [each for (process, *_), each in list(_opened.items()) if process == os.getpid()]:
        opened.leave()


def _check_name(batch: Batch, ledger: Ledger) -> None:
    """Create the batch unless the ledger has it; raises InvalidOptions for a name of another batch."""
    if problem := open_batch(ledger, batch.name, derived_name(batch)):
        raise InvalidOptions(CALL, [f"name: batch {batch.name!r} {problem}; choose another name"])


async def _nothing() -> None:
    """Return at once."""


def _checked(fields: Mapping[str, Any]) -> Batch:
    """Return the batch without rows; raises InvalidOptions."""
    problems = [f"{name}: it does not apply to blocks; leave it out" for name in fields if name in _NOT_IN_BLOCKS]
    if not fields.get("name"):
        problems.append("name: missing; it names the batch in the ledger, the same for all processes")
    if problems:
        raise InvalidOptions(CALL, problems)
    options = {name: value for name, value in fields.items() if name not in ("name", "model")}
    batch = batch_of(pyarrow.table({}), fields.get("model", "auto"), fields["name"], options, CALL)
    if batch.reuse.max_age is not None:
        raise InvalidOptions(CALL, ["reuse.max_age: it does not apply to blocks; leave it out"])
    return batch.model_copy(update={"shard_size": SHARD_ROWS})


CALL = "ParetaCompleter"
_NOT_IN_BLOCKS = Batch.model_fields.keys() - {"name", "model", *BatchOptions.__annotations__}
_NOT_IN_BLOCKS |= {"approve_above_usd", "processes"}
_SOURCES = ("PARETA_LEDGER_URL", "PARETA_API_KEY", "PARETA_BASE_URL")

_opened: dict[tuple[object, ...], _Opened] = {}
_one_change = threading.Lock()
