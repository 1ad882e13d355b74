"""One run of a batch at a time: a lock that the operating system or the database lets go of when its owner dies."""

import fcntl
import hashlib
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from pareta_batch.errors import BatchBusy


@contextmanager
def lease(engine: sa.Engine, batch: str) -> Iterator[None]:
    """Hold a batch for this run.

    Raises BatchBusy while another run holds it. It needs no clock and no heartbeat: nothing is left of a killed owner.
    """
    if engine.dialect.name != "sqlite":
        with _advisory_lock(engine, batch):
            yield
    elif file := sqlite_file(engine.url):
        with _file_lock(file.with_name(f"{file.name}.{batch}.lock"), batch):
            yield
    else:
        # Nobody else can see this ledger.
        yield


def sqlite_file(url: sa.URL) -> Path | None:
    """Give the file behind an SQLite URL, written as a path or as a `file:` URI; None for a ledger in memory."""
    database = (url.database or "").removeprefix("file:")
    return None if database in ("", ":memory:") else Path(database)


@contextmanager
def _file_lock(path: Path, batch: str) -> Iterator[None]:
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise BatchBusy(batch, file.read().strip() or "another run") from None
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        # The file stays: removing it would let two runs hold locks on two files of the same name.
        yield


@contextmanager
def _advisory_lock(engine: sa.Engine, batch: str) -> Iterator[None]:
    number = int.from_bytes(hashlib.sha256(f"pareta-batch/{batch}".encode()).digest()[:8], signed=True)
    key = sa.literal(number, sa.BigInteger)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as db:
        if not db.scalar(sa.select(sa.func.pg_try_advisory_lock(key))):
            raise BatchBusy(batch, "another run")
        try:
            yield
        finally:
            db.execute(sa.select(sa.func.pg_advisory_unlock(key)))
