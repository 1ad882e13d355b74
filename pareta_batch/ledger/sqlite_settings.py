"""Settings of a connection to SQLite."""

import sqlite3
import time

BUSY_TIMEOUT_S = 30.0
"""Seconds to wait for a lock of another process; higher survives longer writes of others."""
RETRY_INTERVAL_S = 0.01
"""Seconds between two attempts to set the journal mode; higher opens a new ledger later beside other processes."""


def apply_settings(cursor: sqlite3.Cursor) -> None:
    """Set the timeout, the journal and the durability of a connection; raises sqlite3.OperationalError."""
    cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_S * 1000:.0f}")
    _use_write_ahead_log(cursor)
    cursor.execute("PRAGMA synchronous=FULL")


def _use_write_ahead_log(cursor: sqlite3.Cursor) -> None:
    """Set the journal mode; SQLite applies its own timeout to the file's locks, but not to a change of this mode."""
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(RETRY_INTERVAL_S)
        else:
            return
