"""The ledger: what became of every row, in a database, durable before it counts.

SQLite in WAL mode by default, another database by URL. A piece of work is (batch, key, fingerprint); it belongs to
the batch's current dataset while it has a position. Work whose row was edited or removed keeps what was paid for it.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from pareta_batch.asks import Ask
from pareta_batch.errors import LedgerError
from pareta_batch.identity import Message
from pareta_batch.outcomes import Outcome, Tally

DEFAULT_URL = "sqlite:///.pareta/ledger.db"
CHUNK_ROWS = 1_000

_metadata = sa.MetaData()

_rows = sa.Table(
    "rows",
    _metadata,
    sa.Column("batch", sa.String(100), primary_key=True),
    sa.Column("key", sa.String, primary_key=True),
    sa.Column("fingerprint", sa.String(64), primary_key=True),
    sa.Column("position", sa.Integer),
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False, default=0),
    sa.Column("answer", sa.Text),
    sa.Column("finish_reason", sa.String),
    sa.Column("error", sa.String),
    sa.Column("error_message", sa.Text),
    sa.Column("retryable", sa.Boolean, nullable=False, default=False),
    sa.Column("request_id", sa.String),
    sa.Column("latency_ms", sa.Float),
    sa.Column("prompt_tokens", sa.Integer),
    sa.Column("completion_tokens", sa.Integer),
    sa.Column("billed_micro_usd", sa.BigInteger),
    sa.Column("updated_at", sa.DateTime, nullable=False),
    # Kept only until the answer is in: a ledger should not hoard the documents.
    sa.Column("messages", sa.JSON),
    sa.Index("rows_in_order", "batch", "position"),
)

_eval_work = sa.Table(
    "eval_work",
    _metadata,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("id", sa.String, nullable=False),
    sa.Column("created_at", sa.DateTime, nullable=False),
)

_OUTCOME_FIELDS = [field.name for field in fields(Outcome)]
_missing = sa.or_(_rows.c.state == "pending", sa.and_(_rows.c.state == "failed", _rows.c.retryable))


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
            if address.get_backend_name() == "sqlite" and address.database:
                Path(address.database).parent.mkdir(parents=True, exist_ok=True)
            engine = sa.create_engine(address)
            if address.get_backend_name() == "sqlite":
                sa.event.listen(engine, "connect", _tune_sqlite)
            _metadata.create_all(engine)
        return cls(engine)

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    def enrol(self, batch: str, asks: Iterable[Ask]) -> Enrolled:
        """Make `asks` the batch's current rows; nothing is changed if reading them fails half way."""
        with self._transaction() as db:
            db.execute(_rows.update().where(_rows.c.batch == batch).values(position=None))
            total = 0
            stream = iter(asks)
            while chunk := list(islice(stream, CHUNK_ROWS)):
                db.execute(self._upsert_asks(), [_pending(batch, ask) for ask in chunk])
                total += len(chunk)
            db.execute(_rows.update().where(self._settled_in(batch)).values(messages=None))
            return Enrolled(total, db.scalar(_changed_rows(batch)) or 0)

    def missing_shards(self, batch: str, shard_size: int) -> dict[int, int]:
        """Count the rows to send in each shard of `shard_size` positions that has any, in order."""
        shard = (_rows.c.position // shard_size).label("shard")
        query = (
            sa.select(shard, sa.func.count().label("rows"))
            .where(*_current(batch), _missing)
            .group_by(shard)
            .order_by(shard)
        )
        with self._transaction() as db:
            return {row.shard: row.rows for row in db.execute(query)}

    def missing(self, batch: str, shard: int, shard_size: int) -> list[Ask]:
        """Give what is to be sent of one shard, in input order."""
        columns = (_rows.c.position, _rows.c.key, _rows.c.fingerprint, _rows.c.messages)
        first = shard * shard_size
        query = (
            sa.select(*columns)
            .where(*_current(batch), _missing, _rows.c.position.between(first, first + shard_size - 1))
            .order_by(_rows.c.position)
        )
        with self._transaction() as db:
            return [Ask(position, key, work, _messages(sent)) for position, key, work, sent in db.execute(query)]

    def record(self, batch: str, outcomes: Sequence[Outcome]) -> None:
        """Write a group of outcomes and make it durable; an answer that is already there is never replaced."""
        update = _rows.update().where(
            _rows.c.batch == sa.bindparam("of_batch"),
            _rows.c.key == sa.bindparam("of_key"),
            _rows.c.fingerprint == sa.bindparam("of_work"),
            _rows.c.state != "settled",
        )
        now = _now()
        with self._transaction() as db:
            for settled in (True, False):
                group = [
                    _written(batch, outcome, now) for outcome in outcomes if (outcome.state == "settled") is settled
                ]
                if group:
                    db.execute(update.values(messages=None) if settled else update, group)

    def tally(self, batch: str) -> Tally:
        """Count the batch's current rows by state and error, and add up what they cost."""
        counted = sa.select(
            _rows.c.state,
            sa.case((_rows.c.state == "failed", _rows.c.error)).label("error"),
            sa.func.count(),
            sa.func.sum(_rows.c.billed_micro_usd),
            sa.func.coalesce(sa.func.sum(_rows.c.prompt_tokens), 0),
            sa.func.coalesce(sa.func.sum(_rows.c.completion_tokens), 0),
        ).where(*_current(batch))
        with self._transaction() as db:
            groups = [tuple(row) for row in db.execute(counted.group_by(sa.text("1, 2")))]
        states = {"settled": 0, "failed": 0, "pending": 0}
        for state, _, count, *_ in groups:
            states[state] += count
        billed = [sum_ for *_, sum_, _, _ in groups if sum_ is not None]
        return Tally(
            **states,
            errors={error: count for _, error, count, *_ in groups if error is not None},
            billed_micro_usd=sum(billed) if billed else None,
            prompt_tokens=sum(group[4] for group in groups),
            completion_tokens=sum(group[5] for group in groups),
        )

    def outcomes_of(self, batch: str, keys: Sequence[str]) -> dict[str, Outcome]:
        """Give what became of these current rows, by key."""
        columns = [_rows.c[name] for name in _OUTCOME_FIELDS]
        query = sa.select(*columns).where(*_current(batch), _rows.c.key.in_(keys))
        with self._transaction() as db:
            return {row.key: Outcome(*row) for row in db.execute(query)}

    def batches(self) -> list[str]:
        """Name every batch that has current rows."""
        query = sa.select(_rows.c.batch).distinct().where(_rows.c.position.is_not(None)).order_by(_rows.c.batch)
        with self._transaction() as db:
            return list(db.scalars(query))

    def eval_work(self, key: str) -> str | None:
        """Find the id that the service gave to this piece of eval work (an eval set or an eval run)."""
        with self._transaction() as db:
            return db.scalar(sa.select(_eval_work.c.id).where(_eval_work.c.key == key))

    def remember_eval_work(self, key: str, id_: str) -> None:
        """Write down the id of a piece of eval work, so that a restart finds it instead of paying again."""
        row = {"key": key, "id": id_, "created_at": _now()}
        insert = self._dialect_insert(_eval_work)
        with self._transaction() as db:
            db.execute(insert.on_conflict_do_update(index_elements=["key"], set_=row), row)

    @contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        with _named_errors(self._engine.url), self._engine.begin() as connection:
            yield connection

    def _dialect_insert(self, table: sa.Table) -> "sqlite.Insert | postgresql.Insert":
        return postgresql.insert(table) if self._engine.dialect.name == "postgresql" else sqlite.insert(table)

    def _upsert_asks(self) -> sa.Insert:
        insert = self._dialect_insert(_rows)
        return insert.on_conflict_do_update(
            index_elements=["batch", "key", "fingerprint"],
            set_={"position": insert.excluded.position, "messages": insert.excluded.messages},
        )

    @staticmethod
    def _settled_in(batch: str) -> sa.ColumnElement[bool]:
        return sa.and_(_rows.c.batch == batch, _rows.c.state == "settled", _rows.c.messages.is_not(None))


def _current(batch: str) -> tuple[sa.ColumnElement[bool], ...]:
    return (_rows.c.batch == batch, _rows.c.position.is_not(None))


def _changed_rows(batch: str) -> sa.Select[int]:
    """Count current rows that have an earlier, no longer current version with the same key."""
    earlier = _rows.alias()
    was_worked_on = sa.exists().where(
        earlier.c.batch == batch, earlier.c.key == _rows.c.key, earlier.c.position.is_(None), earlier.c.attempts > 0
    )
    return sa.select(sa.func.count()).select_from(_rows).where(*_current(batch), was_worked_on)


def _pending(batch: str, ask: Ask) -> dict[str, Any]:
    return {
        "batch": batch,
        "key": ask.key,
        "fingerprint": ask.fingerprint,
        "position": ask.position,
        "state": "pending",
        "updated_at": _now(),
        "messages": list(ask.messages),
    }


def _written(batch: str, outcome: Outcome, now: datetime) -> dict[str, Any]:
    values = asdict(outcome)
    return {
        "of_batch": batch,
        "of_key": values.pop("key"),
        "of_work": values.pop("fingerprint"),
        "updated_at": now,
        **values,
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
