"""The ledger's database: transactions, reconnection, and errors that name the next step."""

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from pareta_batch.errors import LedgerError
from pareta_batch.ledger.hard_links import name_to_open
from pareta_batch.ledger.sqlite_file import LedgerFile, note_closed, note_opened
from pareta_batch.ledger.sqlite_settings import apply_settings
from pareta_batch.ledger.timing import RECONNECT_INTERVAL_S, TIMING, Timing
from pareta_batch.ledger.url import SOURCE, file_to_open, shown, with_file

T = TypeVar("T")

_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


class Database:
    """An engine, with the ledger's file on SQLite; safe to use from several threads."""

    def __init__(self, url: sa.URL, timing: Timing = TIMING) -> None:
        self.url = url
        self.timing = timing
        self.file: LedgerFile | None = None
        self._was_reached = False
        self._down_since: float | None = None
        with _opening_errors(url):
            if (path := file_to_open(url)) is not None:
                _make_folder(url, path)
                url = with_file(url, name_to_open(path))
            self.engine = _engine(url)
            if self.is_sqlite:
                sa.event.listen(self.engine, "do_connect", self._check_file)
                sa.event.listen(self.engine, "connect", _closing_on_error(_tune_sqlite))
                sa.event.listen(self.engine, "close", self._count_closed)
            else:
                sa.event.listen(self.engine, "connect", _closing_on_error(_fit_pooler))

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is SQLite; otherwise it is PostgreSQL."""
        return self.url.get_backend_name() == "sqlite"

    def prepare(self, prepare: Callable[[sa.Connection], None]) -> None:
        """Connect for the first time and create the tables; raises LedgerError at the first failed attempt."""
        with _opening_errors(self.url), self.transaction() as db:
            prepare(db)
            path = _path_of(db.exec_driver_sql("PRAGMA database_list").all()) if self.is_sqlite else ""
        if path:
            name_to_open(Path(path))  # note the name of a file that was just created
            self.file = LedgerFile(path)

    def close(self) -> None:
        """Close the connections; one that a thread still uses closes when it is returned."""
        self.problem()  # before SQLite applies its log to a file that replaced the opened one
        sa.event.listen(self.engine, "checkin", lambda _, record: record.invalidate())
        self.engine.dispose()
        if self.file is not None:
            self.file.close()

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """Yield a connection in one transaction; raises LedgerError, also for a file that was overwritten meanwhile."""
        with self._named_errors(), self.connect() as connection, connection.begin():
            yield connection
            self._check_overwritten()

    def connect(self) -> sa.Connection:
        """Return a connection that the caller closes; raises LedgerError when the database cannot be reached."""
        return self.persistently(self.engine.connect)

    def do(self, work: Callable[[sa.Connection], T]) -> T:
        """Run `work` in a transaction, again after a lost connection, and return its result; raises LedgerError."""

        def once() -> T:
            with self.engine.connect() as connection, connection.begin():
                result = work(connection)
                self._check_overwritten()
                return result

        return self.persistently(once)

    def persistently(self, act: Callable[[], T]) -> T:
        """Call `act` until the database is reachable, and return its result; raises LedgerError.

        All threads share `timing.reconnect_s` for one outage.
        """
        while True:
            try:
                with self._named_errors():
                    result = act()
            except LedgerError as error:
                if not error.disconnected or not self._may_reconnect():
                    raise
                time.sleep(RECONNECT_INTERVAL_S)
            else:
                self._was_reached = True
                self._down_since = None
                return result

    def _may_reconnect(self) -> bool:
        if not self._was_reached:
            return False  # a wrong host or password must fail at once
        now = time.monotonic()
        if self._down_since is None:
            self._down_since = now
        return now - self._down_since < self.timing.reconnect_s

    def problem(self) -> str | None:
        """Return the problem of an SQLite file that changed during use, with the next step; None without one."""
        problem = None if self.file is None else self.file.problem()
        return problem and f"ledger {shown(self.url)}: {problem}"

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        """Raise LedgerError as `named_errors`; a problem of the file comes before the error that it led to."""
        try:
            with named_errors(self.url):
                yield
        except LedgerError as error:
            if isinstance(error.__cause__, sa.exc.SQLAlchemyError) and (problem := self.problem()):
                raise LedgerError(problem) from error
            raise

    def _check_overwritten(self) -> None:
        if self.file is not None and (problem := self.file.overwritten()):
            raise LedgerError(f"ledger {shown(self.url)}: {problem}")

    def _check_file(self, *_: object) -> None:
        # SQLite would create a new, empty file in place of a deleted one.
        if problem := self.problem():
            raise LedgerError(problem)

    def _count_closed(self, _: Any, record: Any) -> None:
        inode = record.info.pop("inode", None)
        if inode is not None and note_closed(inode) and self.file is not None:
            self.file.forget_log()


@contextmanager
def named_errors(url: sa.URL) -> Iterator[None]:
    """Raise LedgerError, with the database and the next step, for an error of the database."""
    try:
        yield
    except sa.exc.SQLAlchemyError as error:
        raise _named(url, error) from error
    except ModuleNotFoundError as error:
        install = "pip install 'pareta-pipelines[postgres]'"
        raise LedgerError(f"ledger {shown(url)}: the driver {error.name} is not installed; {install}") from error


@contextmanager
def _opening_errors(url: sa.URL) -> Iterator[None]:
    """Raise LedgerError, as `named_errors`, also for a path or an option that cannot be used."""
    try:
        with named_errors(url):
            yield
    except (OSError, ValueError) as error:
        # The values in a URL of PostgreSQL may be passwords.
        problem = error if url.get_backend_name() == "sqlite" else "an option has an invalid value"
        raise LedgerError(f"ledger {shown(url)}: {problem}; correct {SOURCE}") from error


def _named(url: sa.URL, error: sa.exc.SQLAlchemyError) -> LedgerError:
    reason = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    code = getattr(reason, "sqlite_errorcode", None)
    if code is not None and code & 0xFF in _DAMAGED:
        step = "restore a backup of the file"
    elif code is not None and code & 0xFF in _BUSY:
        step = "end the program that holds the database, then run it again"
    elif url.get_backend_name() == "sqlite":
        step = f"set {SOURCE} to a database that can be written"
    else:
        step = f"check the server and {SOURCE}, then run it again"
    return LedgerError(
        f"ledger {shown(url)}: {' '.join(str(reason).split())}; {step}", disconnected=_is_disconnect(error)
    )


def _is_disconnect(error: sa.exc.SQLAlchemyError) -> bool:
    """Return whether a connection broke or could not be opened: a later attempt may succeed."""
    if not isinstance(error, sa.exc.DBAPIError) or isinstance(error.orig, sqlite3.Error):
        return False
    # An error of the connection attempt has no statement.
    return error.connection_invalidated or (isinstance(error, sa.exc.OperationalError) and error.statement is None)


def insert_into(db: sa.Connection, table: sa.Table) -> sqlite.Insert:
    """Return an insert with support for ON CONFLICT; its dialect is imported at the first use."""
    return import_module(f"sqlalchemy.dialects.{db.dialect.name}").insert(table)  # type: ignore[no-any-return]


def _make_folder(url: sa.URL, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        step = f"set {SOURCE} to a database that can be written"
        raise LedgerError(f"ledger {shown(url)}: {error}; {step}") from error


def _engine(url: sa.URL) -> sa.Engine:
    if url.get_backend_name() == "sqlite":
        # The thread that closes the ledger also closes the connections in memory that other threads opened.
        return sa.create_engine(url, connect_args={"check_same_thread": False})
    # Each run holds one connection: with a pool of fixed size, parallel batches would wait for each other.
    return sa.create_engine(url, max_overflow=-1, pool_pre_ping=True)


def _closing_on_error(prepare: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
    """Return a listener that closes a new connection that cannot be prepared: SQLAlchemy drops it without closing."""

    def listener(connection: Any, record: Any) -> None:
        try:
            prepare(connection, record)
        except BaseException:
            connection.close()
            raise

    return listener


def _tune_sqlite(connection: Any, record: Any) -> None:  # the driver's own connection, the pool's own record
    cursor = connection.cursor()
    apply_settings(cursor)
    if path := _path_of(cursor.execute("PRAGMA database_list").fetchall()):
        record.info["inode"] = note_opened(path)
    cursor.close()


def _fit_pooler(connection: Any, _: object) -> None:  # the driver's own connection
    """Disable prepared statements behind a pooler: its server connections change between transactions."""
    cursor = connection.execute("SELECT pg_backend_pid()")
    # A pooler sends its own process id in the handshake.
    if cursor.fetchone() != (connection.info.backend_pid,):
        connection.prepare_threshold = None
    connection.rollback()


def _path_of(databases: Iterable[Sequence[Any]]) -> str:
    """Return the resolved path of the main database; empty for one in memory."""
    return next((str(path) for _, name, path in databases if name == "main"), "")
