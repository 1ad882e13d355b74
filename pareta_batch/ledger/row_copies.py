"""Bulk insertion of rows: `COPY` on PostgreSQL, `executemany` on SQLite."""

import json
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import sqlalchemy as sa

from pareta_batch.ledger.database import insert_into
from pareta_batch.ledger.schema import rows

_STAGE = "registering_rows"
_is_settled = rows.c.state == "settled"
_RENEWED = ("position", "prompt_bytes", "options", "scope")


def insert_rows(db: sa.Connection, values: Sequence[dict[str, Any]]) -> None:
    """Insert rows that the ledger does not have."""
    if db.dialect.name == "postgresql":
        _copy(db, rows.name, values)
    else:
        db.execute(insert_into(db, rows), values)


def upsert_rows(db: sa.Connection, values: Sequence[dict[str, Any]]) -> None:
    """Insert rows, or give existing rows of the same work their new positions and requests."""
    statement = insert_into(db, rows)
    renewed = {name: statement.excluded[name] for name in _RENEWED} | {
        # The messages of an answered row are not stored again.
        "messages": sa.case((_is_settled, sa.null()), else_=statement.excluded.messages)
    }
    given: Sequence[dict[str, Any]] | None = values
    if db.dialect.name == "postgresql":
        stage = f"CREATE TEMPORARY TABLE IF NOT EXISTS {_STAGE} (LIKE {rows.name} INCLUDING DEFAULTS) ON COMMIT DROP"
        db.exec_driver_sql(stage)
        db.exec_driver_sql(f"TRUNCATE {_STAGE}")
        _copy(db, _STAGE, values)
        staged = sa.table(_STAGE, *(sa.column(name) for name in values[0]))
        statement = statement.from_select(list(values[0]), sa.select(*staged.columns))
        given = None
    db.execute(statement.on_conflict_do_update(index_elements=["batch", "key", "fingerprint"], set_=renewed), given)


def _copy(db: sa.Connection, table: str, values: Sequence[dict[str, Any]]) -> None:
    names = list(values[0])
    statement = f"COPY {table} ({', '.join(names)}) FROM STDIN"
    try:
        cursor: Any = db.connection.cursor()  # psycopg's own
        with closing(cursor), cursor.copy(statement) as copy:
            for each in values:
                copy.write_row([json.dumps(value) if name == "messages" else value for name, value in each.items()])
    except db.dialect.loaded_dbapi.Error as error:
        raise sa.exc.DBAPIError.instance(
            statement, None, error, db.dialect.loaded_dbapi.Error, dialect=db.dialect
        ) from error
