"""Creation or migration of a ledger when it is opened: one process at a time."""

from functools import cache

import sqlalchemy as sa
from sqlalchemy.engine.mock import MockConnection

from pareta_batch.errors import LedgerError
from pareta_batch.ledger.advisory_lock import lock_until_commit
from pareta_batch.ledger.run_tables import account_runs
from pareta_batch.ledger.schema import VERSION, revisions, rows, versions

_OPENING_LOCK = 5
"""Number of PostgreSQL's lock on opening a ledger; version 5 took it too, so keep it in later versions."""


def prepare(db: sa.Connection) -> None:
    """Create the tables, or migrate those of an older version; raises LedgerError for a newer version."""
    _one_at_a_time(db)
    found = _version_of(db)
    if found > VERSION:
        raise LedgerError(f"the ledger is of version {found}, this program knows up to {VERSION}: update it")
    if found == 0:
        for statement in _definitions(db.engine.url.drivername):
            db.exec_driver_sql(statement)
        db.execute(revisions.insert().values(version_num=str(VERSION)))
    elif found < VERSION or not sa.inspect(db).has_table(revisions.name):
        from pareta_batch.ledger.migrations import migrate  # imports Alembic, which few openings need

        migrate(db)
    if found != VERSION:
        db.execute(versions.delete())
        db.execute(versions.insert().values(version=VERSION))


@cache
def _definitions(driver: str) -> list[str]:
    """Return the statements that create the tables; to write them takes longer than SQLite needs to execute them."""
    statements: list[str] = []

    def note(statement: sa.ExecutableDDLElement, *_: object) -> None:
        statements.append(str(statement.compile(engine)))

    engine: MockConnection = sa.create_mock_engine(f"{driver}://", note)
    account_runs.metadata.create_all(engine, checkfirst=False)
    return statements


def _one_at_a_time(db: sa.Connection) -> None:
    """Lock the ledger until this transaction ends: many runs may open a new ledger at the same time."""
    if db.dialect.name == "sqlite":
        db.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        lock_until_commit(db, _OPENING_LOCK)


def _version_of(db: sa.Connection) -> int:
    """Return the version of the existing ledger: 0 without one, 1 for one from before versions were recorded."""
    inspector = sa.inspect(db)
    if inspector.has_table(versions.name):
        return db.scalar(sa.select(versions.c.version)) or 0
    return 1 if inspector.has_table(rows.name) else 0
