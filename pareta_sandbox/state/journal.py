"""The journal: an append-only log of all events, in SQLite.

With a file the journal is persistent: a sandbox that is restarted with the file continues its books. Without a file
it is a temporary SQLite database, which SQLite moves from memory to an anonymous file as it grows. In both cases the
memory of the process stays constant.
"""

import json
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Literal, NamedTuple

from pareta_sandbox.state.completion import Completion

Kind = Literal["opening", "adjustment", "request", "debit", "replay", "error", "state", "fault", "scenario"]

FLUSH_AT_ENTRIES = 2_000  # more means fewer transactions, and more lost in a crash
MAX_CACHED_ANSWERS = 4_096


class Entry(NamedTuple):
    """An entry of the journal; unused fields are None. `amount` is micro-USD, `at` is Unix time."""

    at: float
    kind: Kind
    subject: str
    amount: int | None = None
    key: str | None = None
    request_id: str | None = None
    detail: str | None = None


StoredAnswer = tuple[bytes, Completion]  # the hash of the request, and the answer


SCHEMA = """
CREATE TABLE IF NOT EXISTS entry (
    n INTEGER PRIMARY KEY, at REAL NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL,
    amount INTEGER, key TEXT, request_id TEXT, detail TEXT);
CREATE INDEX IF NOT EXISTS entry_by_kind ON entry (kind, n);
CREATE TABLE IF NOT EXISTS answer (key TEXT PRIMARY KEY, fingerprint BLOB NOT NULL, answer TEXT NOT NULL) WITHOUT ROWID;
"""
TOTALS = "SELECT kind, count(*), coalesce(sum(amount), 0) FROM entry GROUP BY kind"


class Journal:
    """Store of entries and answers, with group commit.

    Without a path the database is temporary. Raises sqlite3.Error if the file is not a journal.
    """

    def __init__(self, path: Path | None = None) -> None:
        # SQLite opens a temporary database for an empty name.
        name = str(path) if path else ""
        self._connection = sqlite3.connect(name, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.executescript(SCHEMA)
        totals = self._connection.execute(TOTALS).fetchall()
        self._counts: Counter[Kind] = Counter({kind: number for kind, number, _ in totals})
        self._sums: Counter[Kind] = Counter({kind: amount for kind, _, amount in totals})
        self._entries: list[Entry] = []
        self._answers: dict[str, StoredAnswer] = {}
        self._cache: dict[str, StoredAnswer] = {}

    @property
    def kept_in_memory(self) -> int:
        """Number of entries and answers in memory."""
        return len(self._entries) + len(self._answers) + len(self._cache)

    def write(
        self,
        kind: Kind,
        subject: str,
        amount: int | None = None,
        key: str | None = None,
        request_id: str | None = None,
        detail: str | None = None,
    ) -> None:
        """Append an entry with the current time."""
        self._entries.append(Entry(time.time(), kind, subject, amount, key, request_id, detail))
        self._counts[kind] += 1
        self._sums[kind] += amount or 0
        if len(self._entries) >= FLUSH_AT_ENTRIES:
            self.flush()

    def entries(self, kind: Kind | None = None, after: int = 0, limit: int | None = None) -> list[tuple[int, Entry]]:
        """Return numbered entries, oldest first."""
        self.flush()
        rows: Iterator[tuple[int, float, Kind, str, int | None, str | None, str | None, str | None]]
        rows = self._connection.execute(
            "SELECT n, at, kind, subject, amount, key, request_id, detail FROM entry"
            " WHERE n > ? AND (? IS NULL OR kind = ?) ORDER BY n LIMIT ?",
            (after, kind, kind, -1 if limit is None else limit),
        )
        return [(n, Entry(*fields)) for n, *fields in rows]

    def latest(self, kind: Kind, limit: int) -> list[Entry]:
        """Return the latest entries of a kind, newest first."""
        self.flush()
        rows = self._connection.execute(
            "SELECT at, kind, subject, amount, key, request_id, detail FROM entry"
            " WHERE kind = ? ORDER BY n DESC LIMIT ?",
            (kind, limit),
        )
        return [Entry(*fields) for fields in rows]

    def total(self, kind: Kind) -> tuple[int, int]:
        """Return the number and the sum of the entries of a kind."""
        return self._counts[kind], self._sums[kind]

    def keys(self) -> dict[str, int]:
        """Return the number of requests by idempotency key."""
        self.flush()
        query = "SELECT key, count(*) FROM entry WHERE kind = 'request' AND key IS NOT NULL GROUP BY key"
        return dict(self._connection.execute(query).fetchall())

    def save(self, key: str, fingerprint: bytes, answer: Completion) -> None:
        """Store an answer."""
        self._answers[key] = (fingerprint, answer)
        # A retry usually follows soon; older answers are read from the file.
        if len(self._cache) >= MAX_CACHED_ANSWERS:
            self._cache.pop(next(iter(self._cache)))
        self._cache[key] = (fingerprint, answer)

    def load(self, key: str) -> StoredAnswer | None:
        """Return the answer of a key with the hash of its request, or None."""
        cached = self._answers.get(key) or self._cache.get(key)
        if cached is not None:
            return cached
        row = self._connection.execute("SELECT fingerprint, answer FROM answer WHERE key = ?", (key,)).fetchone()
        return (row[0], Completion(**json.loads(row[1]))) if row else None

    def flush(self) -> None:
        """Write the buffered entries and answers in one transaction."""
        if not (self._entries or self._answers):
            return
        entries, self._entries = self._entries, []
        answers, self._answers = self._answers, {}
        with self._connection:
            self._connection.execute("BEGIN")
            self._connection.executemany(
                "INSERT INTO entry (at, kind, subject, amount, key, request_id, detail) VALUES (?, ?, ?, ?, ?, ?, ?)",
                entries,
            )
            self._connection.executemany(
                "INSERT OR REPLACE INTO answer VALUES (?, ?, ?)",
                [(key, fingerprint, json.dumps(asdict(answer))) for key, (fingerprint, answer) in answers.items()],
            )

    def close(self) -> None:
        """Flush and close."""
        self.flush()
        self._connection.close()
