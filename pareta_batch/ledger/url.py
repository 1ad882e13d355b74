"""Normalization of ledger URLs, which may name a driver of Prefect, of another program, or none."""

import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import sqlalchemy as sa

from pareta_batch.errors import LedgerError
from pareta_batch.user_path import expand_user

SOURCE = "PARETA_LEDGER_URL"
DEFAULT_URL = "sqlite:///.pareta/ledger.db"
FORMS = "write sqlite:///PATH or postgresql://USER:PASSWORD@HOST/DATABASE"

_SQLITE = frozenset({"", "pysqlite", "aiosqlite"})
_POSTGRESQL = frozenset({"", "psycopg", "psycopg_async", "psycopg2", "psycopg2cffi", "asyncpg", "pg8000"})
_SQLITE_OPTIONS = re.compile(
    r"(uri|mode|cache|immutable|nolock|psow|vfs|timeout|cached_statements|check_same_thread|detect_types|"
    r"isolation_level)=[^&]*"
)
# Options of asyncpg without a counterpart in psycopg.
_ASYNCPG_ONLY = frozenset(
    {
        "async_fallback",
        "command_timeout",
        "direct_tls",
        "max_cacheable_statement_size",
        "max_cached_statement_lifetime",
        "prepared_statement_cache_size",
        "statement_cache_size",
    }
)
_SSL_MODES = {"true": "require", "1": "require", "on": "require", "false": "disable", "0": "disable", "off": "disable"}


def configured_url(text: str | None = None) -> sa.URL:
    """Return the URL `text`, else that of `PARETA_LEDGER_URL`, else `DEFAULT_URL`. Raises LedgerError."""
    return ledger_url(text or os.environ.get(SOURCE) or DEFAULT_URL)


def ledger_exists() -> bool:
    """Return whether opening the configured ledger creates no file. PostgreSQL is not asked, and counts as existing."""
    url = configured_url()
    return url.get_backend_name() != "sqlite" or Path(url.database or "").is_file()


def ledger_url(text: str) -> sa.URL:
    """Return the URL with the ledger's own driver: sqlite3 or psycopg.

    Raises LedgerError; its message never contains a possible password.
    """
    scheme, separator, rest = text.strip().partition("://")
    dialect, _, driver = scheme.lower().partition("+")
    if not separator:
        raise LedgerError(f"ledger URL in {SOURCE}: it has no '://'; {FORMS}")
    match dialect:
        case "sqlite" if driver in _SQLITE:
            return _sqlite(rest)
        case "postgresql" | "postgres" if driver in _POSTGRESQL:
            return _postgresql(rest)
        case "sqlite" | "postgresql" | "postgres":
            raise LedgerError(f"ledger URL in {SOURCE}: unknown driver {driver!r} of {dialect}; {FORMS}")
        case _:
            raise LedgerError(f"ledger URL in {SOURCE}: unknown dialect {scheme!r}; {FORMS}")


def shown(url: sa.URL) -> str:
    """Return the URL without passwords; options of PostgreSQL are removed, because they may contain one."""
    without = url if url.get_backend_name() == "sqlite" else url.set(query={})
    return without.render_as_string(hide_password=True)


def file_to_open(url: sa.URL) -> Path | None:
    """Return the file of an SQLite URL, given by a path or a `file:` URI; None for a ledger in memory."""
    database = url.database or ""
    if "uri" in url.query and database.startswith("file:"):
        database = "" if url.query.get("mode") == "memory" else unquote(urlsplit(database).path)
    return None if database in ("", ":memory:") else Path(database)


def with_file(url: sa.URL, file: Path) -> sa.URL:
    """Return the SQLite URL with another file name."""
    is_uri = "uri" in url.query and (url.database or "").startswith("file:")
    return url.set(database=f"file:{quote(str(file))}" if is_uri else str(file))


def _sqlite(rest: str) -> sa.URL:
    host, slash, path = rest.partition("/")
    if host or (rest and not slash):
        raise LedgerError(f"ledger URL in {SOURCE}: SQLite has no host {host!r}; write sqlite:///PATH")
    path, options = _options_apart(path)
    scheme = "file:" if path.startswith("file:~") else ""
    try:
        path = scheme + expand_user(path.removeprefix(scheme))
    except ValueError as error:
        raise LedgerError(f"ledger URL in {SOURCE}: {error}") from None
    return sa.URL.create("sqlite", database=path or None, query=options)


def _options_apart(path: str) -> tuple[str, dict[str, str]]:
    """Split the options of SQLite off a path; a question mark before any other text belongs to the path."""
    for mark in re.finditer(r"\?", path):
        options = path[mark.end() :].split("&")
        if all(_SQLITE_OPTIONS.fullmatch(option) for option in options):
            return path[: mark.start()], {
                name: unquote(value) for name, _, value in (o.partition("=") for o in options)
            }
    return path, {}


def _postgresql(rest: str) -> sa.URL:
    # Not chained: the parser's error quotes parts of the URL, which may contain the password.
    problem = f"ledger URL in {SOURCE}: it cannot be parsed; {FORMS}, with @ : / ? # % in a password percent-encoded"
    try:
        url = sa.make_url(f"postgresql+psycopg://{rest}")
    except (sa.exc.ArgumentError, ValueError):
        raise LedgerError(problem) from None
    if "@" in (url.host or "") or "@" in (url.database or ""):
        raise LedgerError(problem)
    return url.set(query=_psycopg_options(url.query))


def _psycopg_options(query: Mapping[str, tuple[str, ...] | str]) -> dict[str, tuple[str, ...] | str]:
    options = {name: value for name, value in query.items() if name not in _ASYNCPG_ONLY}
    if isinstance(mode := options.pop("ssl", None), str):
        options.setdefault("sslmode", _SSL_MODES.get(mode.lower(), mode))
    if isinstance(timeout := options.pop("timeout", None), str):
        options.setdefault("connect_timeout", _whole_seconds(timeout))
    if (database := options.pop("database", None)) is not None:
        options.setdefault("dbname", database)
    return options


def _whole_seconds(timeout: str) -> str:
    try:
        return str(max(1, math.ceil(float(timeout))))
    except (ValueError, OverflowError):
        raise LedgerError(
            f"ledger URL in {SOURCE}: timeout {timeout!r} is not a number of seconds; fix the option"
        ) from None
