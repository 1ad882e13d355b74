"""SQL statements that all ledgers of a process share: each has an engine, which would compile every statement again."""

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.util import LRUCache

_COMPILED: LRUCache[object, object] = LRUCache(5_000)


def share_compiled_statements() -> None:
    """Use one cache of compiled statements for SQLite, whose dialect has no settings that depend on the database."""
    # A key of the cache has the dialect, of which each engine has its own.
    SQLiteDialect_pysqlite.__eq__ = _of_one_class  # type: ignore[method-assign]
    SQLiteDialect_pysqlite.__hash__ = _hash_of_class  # type: ignore[method-assign, assignment]
    sa.event.listen(sa.Engine, "engine_connect", _use_cache)


def _of_one_class(dialect: object, other: object) -> bool:
    return type(dialect) is type(other)


def _hash_of_class(dialect: object) -> int:
    return hash(type(dialect))


def _use_cache(connection: sa.Connection) -> None:
    if connection.dialect.name == "sqlite":
        connection.execution_options(compiled_cache=_COMPILED)
