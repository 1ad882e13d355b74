"""The ledger: a database with the state of every row; a row counts as done once its outcome is durable.

SQLite in WAL mode by default, PostgreSQL by URL. Work is identified by (batch, key, fingerprint). It belongs to the
batch's current dataset while it has a position. Work whose row was edited or removed keeps its receipts.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from pareta_batch.errors import LedgerError
from pareta_batch.ledger.database import Database, insert_into
from pareta_batch.ledger.lock import Lost, holder, lease
from pareta_batch.ledger.opening import prepare
from pareta_batch.ledger.outcomes import Outcome, Tally
from pareta_batch.ledger.queries import Sample, missing_by_shard, sample_of, tally_of
from pareta_batch.ledger.registration import RegisteredRows, Registration, register
from pareta_batch.ledger.schema import batches, eval_work, rows, shards
from pareta_batch.ledger.selection import ALL_UNSETTLED, RowSelection, current, page_of, remaining
from pareta_batch.ledger.shards import SHARD_ROWS, recount
from pareta_batch.ledger.sharing import NOTHING_SHARED, Sharing, settle_copies
from pareta_batch.ledger.timing import TIMING, Timing
from pareta_batch.ledger.url import configured_url, shown
from pareta_batch.ledger.writes import LedgerWrites, apply_writes
from pareta_batch.rows import Message, RowRequest

FIRST_PAGE_ROWS = 8
PAGE_BYTES = 1_000_000
"""Bytes of prompts per page of rows to send; higher reads less often and needs more memory."""

_OUTCOME_FIELDS = [field.name for field in fields(Outcome)]
_NUMBERS = tuple(map(_OUTCOME_FIELDS.index, ("latency_ms", "prompt_tokens", "completion_tokens", "billed_micro_usd")))


class Ledger:
    """A ledger database; safe to use from several threads and processes."""

    def __init__(self, database: Database) -> None:
        self._database, self.url = database, database.url
        self._leases: dict[str, Lost] = {}

    @classmethod
    def open(cls, url: str | None = None, timing: Timing = TIMING) -> "Ledger":
        """Open the ledger at `url`, else `PARETA_LEDGER_URL`, else `DEFAULT_URL`; create it if it does not exist.

        Raises LedgerError when it cannot be read and written.
        """
        database = Database(configured_url(url), timing)
        try:
            database.prepare(prepare)
        except BaseException:
            database.close()
            raise
        return cls(database)

    @property
    def file(self) -> Path | None:
        """The resolved path of the ledger's file; None for PostgreSQL and in memory."""
        return None if self._database.file is None else self._database.file.path

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is SQLite, which serves one process that sends; otherwise it is PostgreSQL."""
        return self._database.is_sqlite

    @property
    def place(self) -> str:
        """The address of the database for messages, without passwords."""
        return f"sqlite:///{self.file}" if self.file else shown(self._database.url)

    def close(self) -> None:
        """Close the connections to the database."""
        self._database.close()

    @contextmanager
    def lease(self, batch: str) -> Iterator[None]:
        """Hold the lease of a batch for one run; claims are written only while it is held.

        Raises BatchBusy while another run holds it, LedgerError.
        """
        with lease(self._database, batch) as lost:
            self._leases[batch] = lost
            try:
                yield
            finally:
                del self._leases[batch]

    def holder(self, batch: str) -> str | None:
        """Return the process that holds the lease of a batch, or None; runs that start meanwhile are not disturbed."""
        return holder(self._database, batch)

    def register_rows(
        self, batch: str, requests: Iterable[RowRequest], sharing: Sharing = NOTHING_SHARED
    ) -> RegisteredRows:
        """Register `requests` as the batch's current rows, in transactions of 20,000 rows.

        An error of `requests` leaves the ledger unchanged. After an error of the ledger, registering again continues.
        """

        @contextmanager
        def transaction() -> Iterator[sa.Connection]:
            with self._database.transaction() as db:
                if problem := self._database.problem() or self._lost(db, batch):
                    raise LedgerError(problem)
                yield db

        return register(transaction, Registration(batch, _now(), sharing), requests)

    def is_registering(self, batch: str) -> bool:
        """Return whether a registration of the batch's rows has begun and not ended, or was interrupted."""
        query = sa.select(batches.c.state).where(batches.c.batch == batch)
        return self._database.do(lambda db: db.scalar(query)) == "registering"

    def recount(self, batch: str, first: int, end: int) -> None:
        """Count the shards again that end in these positions and have not been counted since their last write."""
        within = shards.c.shard >= first // SHARD_ROWS, shards.c.shard < end // SHARD_ROWS
        if first // SHARD_ROWS < end // SHARD_ROWS:
            self._database.do(lambda db: recount(db, batch, *within))

    def settle_copies(self, batch: str) -> None:
        """Write the outcomes of the rows that others are copies of to these copies."""
        self._database.do(lambda db: settle_copies(db, batch, _now()))

    def missing_shards(self, batch: str, shard_size: int, wanted: RowSelection = ALL_UNSETTLED) -> dict[int, int]:
        """Return the number of rows to send by shard number, without empty shards."""
        return self._database.do(lambda db: missing_by_shard(db, batch, shard_size, wanted))

    def missing(
        self, batch: str, shard: int, shard_size: int, wanted: RowSelection = ALL_UNSETTLED
    ) -> Iterator[RowRequest]:
        """Yield the rows to send of one shard in input order, read in pages of about `PAGE_BYTES`."""
        first, end, count = shard * shard_size, (shard + 1) * shard_size, FIRST_PAGE_ROWS
        query, span = page_of(wanted), {"batch": batch, "end": end}
        while first < end and (page := self._requests(query, {**span, "first": first, "most": count})):
            yield from page
            first = page[-1].position + 1
            count = max(1, PAGE_BYTES * len(page) // (1 + sum(request.prompt_bytes for request in page)))

    def some_missing(self, batch: str, count: int) -> list[RowRequest]:
        """Return up to `count` rows to send: a reproducible pseudo-random sample, ordered by fingerprint."""
        return self._requests(remaining(batch, ALL_UNSETTLED).order_by(rows.c.fingerprint).limit(count))

    def missing_at(self, batch: str, positions: Sequence[int]) -> list[RowRequest]:
        """Return the rows to send at these positions, in input order; for a copy, the row that it is a copy of."""
        at = rows.c.position.in_(positions)
        asked = rows.c.key.in_(sa.select(rows.c.copy_of).where(*current(batch), at, rows.c.copy_batch == batch))
        return self._requests(remaining(batch, ALL_UNSETTLED).where(sa.or_(at, asked)).order_by(rows.c.position))

    def sample(self, batch: str, wanted: RowSelection = ALL_UNSETTLED) -> Sample:
        """Return a sample of the batch's answers with their cost and latency, and the sizes of the rows to send."""
        return self._database.do(lambda db: sample_of(db, batch, wanted))

    def _requests(self, query: sa.Select[tuple[Any, ...]], given: dict[str, Any] | None = None) -> list[RowRequest]:
        found = self._database.do(lambda db: db.execute(query, given).all())
        return [
            RowRequest(position, key, work, _messages(sent), doubt, _sampling(options), turns, sent_as=sent_as)
            for position, key, work, sent, doubt, options, turns, sent_as in found
        ]

    def write(self, batch: str, entries: LedgerWrites) -> None:
        """Write a group of entries in one durable transaction; an existing answer is never replaced.

        Raises LedgerError, also when the ledger's file was deleted or replaced, or when the group has claims and the
        batch's lease was lost. An error leaves the ledger unchanged.
        """
        now = _now()

        def write(db: sa.Connection) -> None:
            if problem := self._database.problem() or (self._lost(db, batch) if entries.claims else None):
                raise LedgerError(problem)
            apply_writes(db, batch, entries, now)

        self._database.do(write)

    def record(self, batch: str, outcomes: Sequence[Outcome]) -> None:
        """Write outcomes."""
        self.write(batch, LedgerWrites(outcomes=outcomes))

    def tally(self, batch: str) -> Tally:
        """Return the batch's current rows counted by state and error, with the sums of their receipts."""
        return self._database.do(lambda db: tally_of(db, batch))

    def outcomes_of(self, batch: str, keys: Sequence[str]) -> dict[str, Outcome]:
        """Return the outcomes of these current rows by key."""
        columns = [rows.c[name] for name in _OUTCOME_FIELDS]
        query = sa.select(*columns).where(*current(batch), rows.c.key.in_(keys))
        return self._database.do(lambda db: {row.key: _outcome(row) for row in db.execute(query)})

    def settled_at(self, batch: str, keys: Sequence[str]) -> dict[str, datetime]:
        """Return the times (UTC, without zone) at which these current rows were last written, by key."""
        query = sa.select(rows.c.key, rows.c.updated_at).where(*current(batch), rows.c.key.in_(keys))
        return self._database.do(lambda db: {row.key: row.updated_at for row in db.execute(query)})

    def has_any(self, batch: str, column: str) -> bool:
        """Return whether a column has a value in any of the batch's current rows."""
        query = sa.select(sa.exists().where(*current(batch), rows.c[column].is_not(None)))
        return bool(self._database.do(lambda db: db.scalar(query)))

    def batches(self) -> list[str]:
        """Return the names of all batches with current rows."""
        query = sa.select(rows.c.batch).distinct().where(rows.c.position.is_not(None)).order_by(rows.c.batch)
        return self._database.do(lambda db: list(db.scalars(query)))

    def eval_work(self, key: str) -> str | None:
        """Return the service's id for this piece of eval work (an eval set or an eval run); None if it is new."""
        return self._database.do(lambda db: db.scalar(sa.select(eval_work.c.id).where(eval_work.c.key == key)))

    def save_eval_work(self, key: str, id_: str) -> None:
        """Save the id of a piece of eval work; a restart finds it instead of paying again."""
        row = {"key": key, "id": id_, "created_at": _now()}

        def save(db: sa.Connection) -> None:
            db.execute(insert_into(db, eval_work).on_conflict_do_update(index_elements=["key"], set_=row), row)

        self._database.do(save)

    def transaction(self) -> AbstractContextManager[sa.Connection]:
        """Return a transaction as a context manager; raises LedgerError."""
        return self._database.transaction()

    def _lost(self, db: sa.Connection, batch: str) -> str | None:
        lost = self._leases.get(batch)
        return lost(db) if lost else None


def _outcome(row: Sequence[Any]) -> Outcome:  # a query's row, in the order of an outcome's fields
    # An older version wrote unchecked values of the service, and SQLite keeps a text in a column of numbers.
    if any(isinstance(row[at], str) for at in _NUMBERS):
        row = [None if at in _NUMBERS and isinstance(each, str) else each for at, each in enumerate(row)]
    return Outcome(*row)


def _messages(stored: Any) -> tuple[Message, ...]:  # a JSON column, written by `register`
    return tuple(dict(message) for message in stored or ())


def _sampling(options: str | None) -> dict[str, Any] | None:  # the service's own fields: any JSON value
    sampling: dict[str, Any] | None = json.loads(options)["sampling"] if options else None
    return sampling


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
