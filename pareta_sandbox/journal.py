"""The journal: everything that happened, append-only, in memory or in an SQLite file.

In memory all debits are kept, and the last few thousand entries of the other kinds. In a file everything is kept, the
memory stays flat, and a sandbox that is started again with the same file goes on with the same books.
"""

import json
import sqlite3
import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from pareta_sandbox.completion import Completion

Kind = Literal["opening", "adjustment", "request", "debit", "replay", "error", "state", "fault", "scenario"]

KEPT_IN_MEMORY = 10_000
FLUSHED_AT = 2_000
CACHED_ANSWERS = 4_096


class Entry(NamedTuple):
    """One line of the journal; what does not apply is None. `amount` is micro-USD, `at` is Unix time."""

    at: float
    kind: Kind
    subject: str
    amount: int | None = None
    key: str | None = None
    request_id: str | None = None
    detail: str | None = None


Remembered = tuple[bytes, Completion]  # the hash of what was asked, and the answer


class Tally:
    """The number and the sum of the entries of each kind."""

    def __init__(self) -> None:
        self._totals: dict[Kind, tuple[int, int]] = {}

    def add(self, kind: Kind, number: int, amount: int) -> None:
        """Count entries."""
        known, sum_so_far = self._totals.get(kind, (0, 0))
        self._totals[kind] = (known + number, sum_so_far + amount)

    def __getitem__(self, kind: Kind) -> tuple[int, int]:
        return self._totals.get(kind, (0, 0))


class Journal(Protocol):
    """Where entries and answers are kept."""

    def write(self, entry: Entry) -> None:
        """Append an entry."""

    def entries(self, kind: Kind | None = None, after: int = 0, limit: int | None = None) -> list[tuple[int, Entry]]:
        """Return numbered entries, oldest first."""

    def latest(self, kind: Kind, limit: int) -> list[Entry]:
        """Return the last few entries of a kind, newest first."""

    def total(self, kind: Kind) -> tuple[int, int]:
        """Return the number and the sum of the entries of a kind."""

    def keys(self) -> dict[str, int]:
        """Return how many requests came under each idempotency key."""

    def remember(self, key: str, fingerprint: bytes, answer: Completion) -> None:
        """Keep an answer."""

    def recall(self, key: str) -> Remembered | None:
        """Return the answer given under a key."""

    def flush(self) -> None:
        """Make everything written so far durable."""

    def close(self) -> None:
        """Flush and close."""


class MemoryJournal:
    """Keep the journal in memory."""

    def __init__(self) -> None:
        self._count = 0
        self._debits: list[tuple[int, Entry]] = []
        self._others: deque[tuple[int, Entry]] = deque(maxlen=KEPT_IN_MEMORY)
        self._tally = Tally()
        self._keys: Counter[str] = Counter()
        self._answers: dict[str, Remembered] = {}

    def write(self, entry: Entry) -> None:
        """Append an entry."""
        self._count += 1
        (self._debits if entry.kind == "debit" else self._others).append((self._count, entry))
        self._tally.add(entry.kind, 1, entry.amount or 0)
        if entry.kind == "request" and entry.key:
            self._keys[entry.key] += 1

    def entries(self, kind: Kind | None = None, after: int = 0, limit: int | None = None) -> list[tuple[int, Entry]]:
        """Return numbered entries, oldest first."""
        kept = self._debits if kind == "debit" else sorted([*self._debits, *self._others])
        found = [(n, entry) for n, entry in kept if n > after and kind in (None, entry.kind)]
        return found[:limit]

    def latest(self, kind: Kind, limit: int) -> list[Entry]:
        """Return the last few entries of a kind, newest first."""
        newest_first = reversed(self._debits if kind == "debit" else self._others)
        return list(islice((entry for _, entry in newest_first if entry.kind == kind), limit))

    def total(self, kind: Kind) -> tuple[int, int]:
        """Return the number and the sum of the entries of a kind."""
        return self._tally[kind]

    def keys(self) -> dict[str, int]:
        """Return how many requests came under each idempotency key."""
        return dict(self._keys)

    def remember(self, key: str, fingerprint: bytes, answer: Completion) -> None:
        """Keep an answer."""
        self._answers[key] = (fingerprint, answer)

    def recall(self, key: str) -> Remembered | None:
        """Return the answer given under a key."""
        return self._answers.get(key)

    def flush(self) -> None:
        """Do nothing: memory is as durable as it gets."""

    def close(self) -> None:
        """Do nothing."""


SCHEMA = """
CREATE TABLE IF NOT EXISTS entry (
    n INTEGER PRIMARY KEY, at REAL NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL,
    amount INTEGER, key TEXT, request_id TEXT, detail TEXT);
CREATE INDEX IF NOT EXISTS entry_by_kind ON entry (kind, n);
CREATE TABLE IF NOT EXISTS answer (key TEXT PRIMARY KEY, fingerprint BLOB NOT NULL, answer TEXT NOT NULL) WITHOUT ROWID;
"""
TOTALS = "SELECT kind, count(*), coalesce(sum(amount), 0) FROM entry GROUP BY kind"


class SqliteJournal:
    """Keep the journal in an SQLite file; what is written becomes durable in groups."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.executescript(SCHEMA)
        self._tally = Tally()
        for kind, number, amount in self._connection.execute(TOTALS):
            self._tally.add(kind, number, amount)
        self._entries: list[Entry] = []
        self._answers: dict[str, Remembered] = {}
        self._cache: dict[str, Remembered] = {}

    @property
    def kept_in_memory(self) -> int:
        """How many entries and answers are in memory."""
        return len(self._entries) + len(self._answers) + len(self._cache)

    def write(self, entry: Entry) -> None:
        """Append an entry."""
        self._entries.append(entry)
        self._tally.add(entry.kind, 1, entry.amount or 0)
        if len(self._entries) >= FLUSHED_AT:
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
        """Return the last few entries of a kind, newest first."""
        self.flush()
        rows = self._connection.execute(
            "SELECT at, kind, subject, amount, key, request_id, detail FROM entry"
            " WHERE kind = ? ORDER BY n DESC LIMIT ?",
            (kind, limit),
        )
        return [Entry(*fields) for fields in rows]

    def total(self, kind: Kind) -> tuple[int, int]:
        """Return the number and the sum of the entries of a kind."""
        return self._tally[kind]

    def keys(self) -> dict[str, int]:
        """Return how many requests came under each idempotency key."""
        self.flush()
        query = "SELECT key, count(*) FROM entry WHERE kind = 'request' AND key IS NOT NULL GROUP BY key"
        return dict(self._connection.execute(query).fetchall())

    def remember(self, key: str, fingerprint: bytes, answer: Completion) -> None:
        """Keep an answer."""
        self._answers[key] = (fingerprint, answer)
        # A retry comes soon after; what is older is read from the file.
        if len(self._cache) >= CACHED_ANSWERS:
            self._cache.pop(next(iter(self._cache)))
        self._cache[key] = (fingerprint, answer)

    def recall(self, key: str) -> Remembered | None:
        """Return the answer given under a key."""
        near = self._answers.get(key) or self._cache.get(key)
        if near is not None:
            return near
        row = self._connection.execute("SELECT fingerprint, answer FROM answer WHERE key = ?", (key,)).fetchone()
        return (row[0], Completion(**json.loads(row[1]))) if row else None

    def flush(self) -> None:
        """Write what has gathered in one transaction."""
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
                [(key, asked, json.dumps(asdict(answer))) for key, (asked, answer) in answers.items()],
            )

    def close(self) -> None:
        """Flush and close."""
        self.flush()
        self._connection.close()


def opened(path: Path | None) -> Journal:
    """Open the journal in a file, or one in memory. Raises sqlite3.Error when the file is not a journal."""
    return MemoryJournal() if path is None else SqliteJournal(path)


def stamped(
    kind: Kind,
    subject: str,
    amount: int | None = None,
    key: str | None = None,
    request_id: str | None = None,
    detail: str | None = None,
) -> Entry:
    """Make an entry of now."""
    return Entry(time.time(), kind, subject, amount, key, request_id, detail)
