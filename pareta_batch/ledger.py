"""The ledger: what became of every row, in a database, durable before it counts.

SQLite in WAL mode by default, another database by URL. A piece of work is (batch, key, fingerprint); it belongs to
the batch's current dataset while it has a position. Work whose row was edited or removed keeps what was paid for it.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from pareta_batch.asks import Ask
from pareta_batch.entries import Entries, write_entries
from pareta_batch.errors import LedgerError
from pareta_batch.identity import Message
from pareta_batch.lease import lease, sqlite_file
from pareta_batch.outcomes import Outcome, Tally
from pareta_batch.tables import eval_work, prepare, rows
from pareta_batch.tallying import Sample, sample_of, tally_of
from pareta_batch.wanted import EVERYTHING_MISSING, Wanted, changed_rows, current, page_of, to_send

DEFAULT_URL = "sqlite:///.pareta/ledger.db"
CHUNK_ROWS = 1_000
FIRST_PAGE_ROWS = 8
PAGE_BYTES = 1_000_000

_OUTCOME_FIELDS = [field.name for field in fields(Outcome)]


@dataclass(frozen=True)
class Enrolled:
    """What a dataset meant to the ledger: rows in all, and those whose earlier version was already worked on."""

    total: int
    changed: int


class Ledger:
    """One database of work; safe to use from several threads and processes."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    @classmethod
    def open(cls, url: str | None = None) -> "Ledger":
        """Open the ledger at `url`, else `PARETA_LEDGER_URL`, else under the working folder; make it if new.

        Raises LedgerError when there is no way to read or write it.
        """
        address = sa.make_url(url or os.environ.get("PARETA_LEDGER_URL") or DEFAULT_URL)
        with _named_errors(address):
            if address.get_backend_name() == "sqlite" and (file := sqlite_file(address)):
                file.parent.mkdir(parents=True, exist_ok=True)
            engine = sa.create_engine(address)
            if address.get_backend_name() == "sqlite":
                sa.event.listen(engine, "connect", _tune_sqlite)
            with engine.begin() as db:
                prepare(db)
        return cls(engine)

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    def lease(self, batch: str) -> AbstractContextManager[None]:
        """Hold a batch for one run; raises BatchBusy while another run holds it."""
        return lease(self._engine, batch)

    def enrol(self, batch: str, asks: Iterable[Ask]) -> Enrolled:
        """Make `asks` the batch's current rows; nothing is changed if reading them fails half way."""
        with self.transaction() as db:
            db.execute(rows.update().where(rows.c.batch == batch).values(position=None))
            total = 0
            stream = iter(asks)
            while chunk := list(islice(stream, CHUNK_ROWS)):
                db.execute(self._upsert_asks(), [_pending(batch, ask) for ask in chunk])
                total += len(chunk)
            settled = (rows.c.batch == batch, rows.c.state == "settled", rows.c.messages.is_not(sa.null()))
            db.execute(rows.update().where(*settled).values(messages=sa.null()))
            return Enrolled(total, db.scalar(changed_rows(batch)) or 0)

    def missing_shards(self, batch: str, shard_size: int, wanted: Wanted = EVERYTHING_MISSING) -> dict[int, int]:
        """Count the rows to send in each shard of `shard_size` positions that has any, in order."""
        shard = (rows.c.position // shard_size).label("shard")
        query = sa.select(shard, sa.func.count()).where(*current(batch), wanted.condition())
        with self.transaction() as db:
            counted = db.execute(query.group_by(shard).order_by(shard))
            return {row[0]: row[1] for row in counted}

    def missing(self, batch: str, shard: int, shard_size: int, wanted: Wanted = EVERYTHING_MISSING) -> Iterator[Ask]:
        """Give what is to be sent of one shard, in input order, reading some at a time: documents may be long."""
        first, end, count = shard * shard_size, (shard + 1) * shard_size, FIRST_PAGE_ROWS
        query = page_of(wanted)
        while first < end and (page := self._asks(query, {"batch": batch, "first": first, "end": end, "most": count})):
            yield from page
            first = page[-1].position + 1
            count = max(1, PAGE_BYTES * len(page) // (1 + sum(ask.prompt_bytes for ask in page)))

    def some_missing(self, batch: str, count: int) -> list[Ask]:
        """Give some rows to send, the same ones each time, drawn by their fingerprint as if at random."""
        return self._asks(to_send(batch, EVERYTHING_MISSING).order_by(rows.c.fingerprint).limit(count))

    def sample(self, batch: str) -> Sample:
        """Say what the batch's answers cost and how long they took."""
        with self.transaction() as db:
            return sample_of(db, batch)

    def _asks(self, query: sa.Select[tuple[Any, ...]], given: dict[str, Any] | None = None) -> list[Ask]:
        with self.transaction() as db:
            found = db.execute(query, given)
            return [Ask(position, key, work, _messages(sent), doubt) for position, key, work, sent, doubt in found]

    def write(self, batch: str, entries: Entries) -> None:
        """Write a group of entries and make it durable; an answer that is already there is never replaced."""
        with self.transaction() as db:
            write_entries(db, batch, entries, _now())

    def record(self, batch: str, outcomes: Sequence[Outcome]) -> None:
        """Write outcomes alone."""
        self.write(batch, Entries(outcomes=outcomes))

    def tally(self, batch: str) -> Tally:
        """Count the batch's current rows by state and error, and add up what they cost."""
        with self.transaction() as db:
            return tally_of(db, batch)

    def outcomes_of(self, batch: str, keys: Sequence[str]) -> dict[str, Outcome]:
        """Give what became of these current rows, by key."""
        columns = [rows.c[name] for name in _OUTCOME_FIELDS]
        query = sa.select(*columns).where(*current(batch), rows.c.key.in_(keys))
        with self.transaction() as db:
            return {row.key: Outcome(*row) for row in db.execute(query)}

    def has_any(self, batch: str, column: str) -> bool:
        """Return whether a column of the batch's current rows holds anything."""
        query = sa.select(sa.exists().where(*current(batch), rows.c[column].is_not(None)))
        with self.transaction() as db:
            return bool(db.scalar(query))

    def batches(self) -> list[str]:
        """Name every batch that has current rows."""
        query = sa.select(rows.c.batch).distinct().where(rows.c.position.is_not(None)).order_by(rows.c.batch)
        with self.transaction() as db:
            return list(db.scalars(query))

    def eval_work(self, key: str) -> str | None:
        """Find the id that the service gave to this piece of eval work (an eval set or an eval run)."""
        with self.transaction() as db:
            return db.scalar(sa.select(eval_work.c.id).where(eval_work.c.key == key))

    def remember_eval_work(self, key: str, id_: str) -> None:
        """Write down the id of a piece of eval work, so that a restart finds it instead of paying again."""
        row = {"key": key, "id": id_, "created_at": _now()}
        insert = self._dialect_insert(eval_work)
        with self.transaction() as db:
            db.execute(insert.on_conflict_do_update(index_elements=["key"], set_=row), row)

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """Do what belongs together, wholly or not at all; raises LedgerError."""
        with _named_errors(self._engine.url), self._engine.begin() as connection:
            yield connection

    def _dialect_insert(self, table: sa.Table) -> "sqlite.Insert | postgresql.Insert":
        return postgresql.insert(table) if self._engine.dialect.name == "postgresql" else sqlite.insert(table)

    def _upsert_asks(self) -> sa.Insert:
        insert = self._dialect_insert(rows)
        renewed = {name: insert.excluded[name] for name in ("position", "messages", "prompt_bytes")}
        return insert.on_conflict_do_update(index_elements=["batch", "key", "fingerprint"], set_=renewed)


def _pending(batch: str, ask: Ask) -> dict[str, Any]:
    return {
        "batch": batch,
        "key": ask.key,
        "fingerprint": ask.fingerprint,
        "position": ask.position,
        "state": "pending",
        "prompt_bytes": ask.prompt_bytes,
        "updated_at": _now(),
        "messages": list(ask.messages),
    }


def _messages(stored: Any) -> tuple[Message, ...]:  # JSON column: whatever enrol put there
    return tuple(dict(message) for message in stored or ())


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


@contextmanager
def _named_errors(url: sa.URL) -> Iterator[None]:
    try:
        yield
    except (sa.exc.SQLAlchemyError, OSError) as error:
        reason = error.orig if isinstance(error, sa.exc.DBAPIError) else error
        where = url.render_as_string(hide_password=True)
        raise LedgerError(
            f"ledger {where}: {reason}; set PARETA_LEDGER_URL to a database that can be written"
        ) from error


def _tune_sqlite(connection: Any, _: object) -> None:  # the driver's own connection type
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=30000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
