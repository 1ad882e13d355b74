"""The keys of a dataset's rows, in bounded memory for any number of rows."""

import sqlite3
from typing import Self

from pareta_batch.errors import DatasetError

CACHE_KIB = 65_536
"""Memory for keys; above it SQLite writes them to a temporary file. Higher is faster above a million rows."""
SCHEMA = "CREATE TABLE seen (key BLOB PRIMARY KEY, place TEXT NOT NULL, times INTEGER NOT NULL) WITHOUT ROWID"


class SeenKeys:
    """The number of times and the first place of each key, in a temporary database that ends with the context."""

    def __init__(self) -> None:
        # An empty name is a database of its own, in memory until it exceeds its cache. One thread at a time uses it.
        self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        for statement in (f"PRAGMA cache_size = -{CACHE_KIB}", "PRAGMA journal_mode = OFF", SCHEMA, "BEGIN"):
            self._db.execute(statement)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def add(self, key: str, place: str) -> tuple[int, str]:
        """Count a key; return how often it was seen, this time included, and its first place.

        Raises DatasetError if the temporary file cannot be written.
        """
        blob = key.encode("utf-8", "surrogatepass")
        try:
            if self._db.execute("INSERT OR IGNORE INTO seen VALUES (?, ?, 1)", (blob, place)).rowcount:
                return 1, place
            self._db.execute("UPDATE seen SET times = times + 1 WHERE key = ?", (blob,))
            times, first = self._db.execute("SELECT times, place FROM seen WHERE key = ?", (blob,)).fetchone()
        except sqlite3.OperationalError as error:
            problem = f"temporary file of its keys: {error}; free space, or set TMPDIR to a folder with more"
            raise DatasetError([problem]) from error
        return times, first
