"""Ownership of output files, kept in the ledger: two batches never share a file."""

import socket
from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from pareta_batch.errors import BatchBusy, BatchUnknown, OutputError
from pareta_batch.ledger import Ledger, outputs
from pareta_batch.rows import digest
from pareta_batch.spec import Batch


def check_known(name: str, ledger: Ledger) -> None:
    """Check that the ledger has rows of a batch; raises BatchUnknown with the known batches."""
    if name not in (known := ledger.batches()):
        raise BatchUnknown(name, known)


def check_free(batch: Batch, ledger: Ledger) -> None:
    """Check that neither the answers file nor its page belongs to another batch; raises OutputError."""
    for path in _files_of(batch):
        _check_free(path, batch.name, ledger)


def claim(batch: Batch, ledger: Ledger) -> None:
    """Reserve the answers file and its page for a batch.

    Call it with the batch's lease held: then only one of two batches gets a file. Raises OutputError if a file belongs
    to another batch.
    """
    for path in _files_of(batch):
        if (released := _check_free(path, batch.name, ledger)) is None:
            continue
        with ledger.transaction() as db:
            holder = _enter(db, path, batch.name, released)
        if holder != batch.name:
            raise OutputError(_taken(path, batch.name, holder))


def release_earlier(batch: Batch, ledger: Ledger) -> None:
    """Release the files of a batch's earlier outputs; the batch may claim them again."""
    keys = [_key(batch.output_path), _key(batch.page_path)]
    with ledger.transaction() as db:
        earlier = (outputs.c.batch == batch.name, outputs.c.key.not_in(keys))
        db.execute(outputs.update().where(*earlier).values(current=False))


def mark_written(batch: Batch, ledger: Ledger) -> None:
    """Record the identity of the written answers file in the ledger."""
    with ledger.transaction() as db:
        written_as = _file_identity(batch.output_path)
        db.execute(outputs.update().where(_is_path(batch.output_path)).values(written_as=written_as))


def is_written(batch: Batch, ledger: Ledger) -> bool:
    """Return whether the answers file is unchanged since this ledger wrote it: the ledger has all its answers."""
    with ledger.transaction() as db:
        recorded = sa.select(outputs.c.written_as).where(_is_path(batch.output_path), outputs.c.batch == batch.name)
        return db.scalar(recorded) == _file_identity(batch.output_path)


def is_ours(batch: Batch, ledger: Ledger) -> bool:
    """Return whether the answers file is claimed for the batch in this ledger."""
    with ledger.transaction() as db:
        found = sa.select(sa.exists().where(_is_path(batch.output_path), outputs.c.batch == batch.name))
        return bool(db.scalar(found))


def _files_of(batch: Batch) -> tuple[Path, Path]:
    return batch.output_path, batch.page_path


def _check_free(path: Path, batch: str, ledger: Ledger) -> Sequence[str] | None:
    """Check that no other batch has a path, and return those that have released it; None if the batch has it already.

    A path on another host may be another disk, or the same one: what counts is whether the file is here. A batch whose
    file is gone has released it, unless a run of it is under way.
    """
    with ledger.transaction() as db:
        named = sa.select(outputs).where(outputs.c.path.endswith(f"/{path.resolve().name}", autoescape=True))
        found = [entry for entry in db.execute(named) if _is_same_place(entry.path, path.resolve())]
    if any(entry.key == _key(path) and entry.batch == batch and entry.current for entry in found):
        return None
    for entry in found:
        if entry.batch != batch and entry.current and (path.exists() or _is_running(entry.batch, ledger)):
            raise OutputError(_taken(path, batch, entry.batch))
    return [entry.batch for entry in found]


def _is_same_place(entered: str, path: Path) -> bool:
    """Return whether an entered path is this one, also where its folder is mounted under two names."""
    if entered == str(path):
        return True
    try:
        return Path(entered).name == path.name and Path(entered).parent.samefile(path.parent)
    except OSError:  # a path of another host, or one that is gone
        return False


def _enter(db: sa.Connection, path: Path, batch: str, released: Sequence[str]) -> str:
    """Record a batch as the owner of a path, and return the recorded owner: another batch may have been first."""
    own_entry = outputs.update().where(_is_path(path), outputs.c.batch == batch).values(current=True)
    if db.execute(own_entry).rowcount == 0:
        entry = {"path": str(path.resolve()), "host": socket.gethostname(), "batch": batch, "current": True}
        db.execute(outputs.delete().where(_is_path(path), outputs.c.batch.in_(released)))
        insert = postgresql.insert if db.dialect.name == "postgresql" else sqlite.insert
        db.execute(insert(outputs).values(key=_key(path), **entry).on_conflict_do_nothing())
    return str(db.scalar(sa.select(outputs.c.batch).where(_is_path(path))))


def _file_identity(path: Path) -> str:
    found = path.stat()
    return f"{found.st_ino}:{found.st_size}:{found.st_mtime_ns}"


def _taken(path: Path, batch: str, holder: str) -> str:
    return (
        f"{path}: file of batch {holder!r}; choose another output for batch {batch!r}, or another one for "
        f"{holder!r} and run that first"
    )


def _is_running(batch: str, ledger: Ledger) -> bool:
    try:
        with ledger.lease(batch):
            return False
    except BatchBusy:
        return True


def _is_path(path: Path) -> sa.ColumnElement[bool]:
    return outputs.c.key == _key(path)


def _key(path: Path) -> str:
    return digest([socket.gethostname(), str(path.resolve())])
