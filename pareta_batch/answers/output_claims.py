"""Ownership of output files, kept in the ledger: two batches never share a file."""

import secrets
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from pareta_batch.answers.folder_checks import take_folder
from pareta_batch.errors import BatchUnknown, OutputError
from pareta_batch.ledger import Ledger, insert_into, outputs
from pareta_batch.rows import digest
from pareta_batch.spec import Batch


def check_known(name: str, ledger: Ledger) -> None:
    """Check that the ledger has rows of a batch; raises BatchUnknown with the known batches."""
    if name not in (known := ledger.batches()):
        raise BatchUnknown(name, known)


@dataclass(frozen=True)
class _Place:
    """A path of this host, or a URL of an object store; `host` is empty for a URL."""

    text: str
    host: str
    path: Path | None = None

    @classmethod
    def of_path(cls, path: Path) -> "_Place":
        return cls(str(path.resolve()), socket.gethostname(), path)

    @property
    def key(self) -> str:
        return digest([self.host, self.text])

    @property
    def name(self) -> str:
        return self.text if self.path is None else str(self.path)

    def exists(self) -> bool:
        """Return whether it is there; an object store is not asked."""
        return self.path is None or self.path.exists()

    def is_entered_as(self, entered: str) -> bool:
        """Return whether an entered path is this one, also where its folder is mounted under two names."""
        if entered == self.text or self.path is None:
            return entered == self.text
        path = self.path.resolve()
        try:
            return Path(entered).name == path.name and Path(entered).parent.samefile(path.parent)
        except OSError:  # a path of another host, or one that is gone
            return False


def check_free(batch: Batch, ledger: Ledger) -> None:
    """Check that neither the answers nor their page belong to another batch; raises OutputError."""
    for place in _places_of(batch):
        _check_free(place, batch.name, ledger)


def claim(batch: Batch, ledger: Ledger) -> None:
    """Reserve the answers file or folder and its page for a batch.

    Call it with the batch's lease held: then only one of two batches gets a file. Raises OutputError if a file belongs
    to another batch.
    """
    for place in _places_of(batch):
        if (released := _check_free(place, batch.name, ledger)) is None:
            continue
        with ledger.transaction() as db:
            holder = _enter(db, place, batch.name, released)
        if holder != batch.name:
            raise OutputError(_taken(place, batch.name, holder))
    if (folder := batch.output_folder) is not None:
        take_folder(batch, folder, _token(batch, ledger), ledger)


def release_earlier(batch: Batch, ledger: Ledger) -> None:
    """Release the files of a batch's earlier outputs; the batch may claim them again."""
    keys = [place.key for place in _places_of(batch)]
    with ledger.transaction() as db:
        earlier = (outputs.c.batch == batch.name, outputs.c.key.not_in(keys))
        db.execute(outputs.update().where(*earlier).values(current=False))


def mark_written(batch: Batch, ledger: Ledger) -> None:
    """Record the identity of the written answers file in the ledger."""
    with ledger.transaction() as db:
        written_as = _file_identity(batch.output_path)
        db.execute(outputs.update().where(_is_answers(batch)).values(written_as=written_as))


def is_written(batch: Batch, ledger: Ledger) -> bool:
    """Return whether the answers file is unchanged since this ledger wrote it: the ledger has all its answers."""
    with ledger.transaction() as db:
        recorded = sa.select(outputs.c.written_as).where(_is_answers(batch), outputs.c.batch == batch.name)
        return db.scalar(recorded) == _file_identity(batch.output_path)


def is_ours(batch: Batch, ledger: Ledger) -> bool:
    """Return whether the answers are claimed for the batch in this ledger."""
    with ledger.transaction() as db:
        found = sa.select(sa.exists().where(_is_answers(batch), outputs.c.batch == batch.name))
        return bool(db.scalar(found))


def _token(batch: Batch, ledger: Ledger) -> str:
    """Return the token that marks a folder as written by this ledger; the first claim makes it."""
    with ledger.transaction() as db:
        unmarked = (_is_answers(batch), outputs.c.written_as.is_(None))
        db.execute(outputs.update().where(*unmarked).values(written_as=secrets.token_hex(8)))
        return str(db.scalar(sa.select(outputs.c.written_as).where(_is_answers(batch))))


def _places_of(batch: Batch) -> tuple[_Place, _Place]:
    return _answers_of(batch), _Place.of_path(batch.page_path)


def _answers_of(batch: Batch) -> _Place:
    folder = batch.output_folder
    return _Place.of_path(batch.output_path) if folder is None or folder.store == "file" else _Place(folder.url, "")


def _check_free(place: _Place, batch: str, ledger: Ledger) -> Sequence[str] | None:
    """Check that no other batch has a place, and return those that have released it; None if the batch has it already.

    A path on another host may be another disk, or the same one: what counts is whether the file is here. A batch whose
    file is gone has released it, unless a run of it is under way.
    """
    last = place.text.rpartition("/")[2] if place.path else place.text
    with ledger.transaction() as db:
        named = sa.or_(outputs.c.path == place.text, outputs.c.path.endswith(f"/{last}", autoescape=True))
        found = [entry for entry in db.execute(sa.select(outputs).where(named)) if place.is_entered_as(entry.path)]
    if any(entry.key == place.key and entry.batch == batch and entry.current for entry in found):
        return None
    for entry in found:
        if entry.batch != batch and entry.current and (place.exists() or ledger.holder(entry.batch)):
            raise OutputError(_taken(place, batch, entry.batch))
    return [entry.batch for entry in found]


def _enter(db: sa.Connection, place: _Place, batch: str, released: Sequence[str]) -> str:
    """Record a batch as the owner of a place, and return the recorded owner: another batch may have been first."""
    is_place = outputs.c.key == place.key
    own_entry = outputs.update().where(is_place, outputs.c.batch == batch).values(current=True)
    if db.execute(own_entry).rowcount == 0:
        entry = {"path": place.text, "host": place.host, "batch": batch, "current": True}
        db.execute(outputs.delete().where(is_place, outputs.c.batch.in_(released)))
        db.execute(insert_into(db, outputs).values(key=place.key, **entry).on_conflict_do_nothing())
    return str(db.scalar(sa.select(outputs.c.batch).where(is_place)))


def _file_identity(path: Path) -> str:
    found = path.stat()
    return f"{found.st_ino}:{found.st_size}:{found.st_mtime_ns}"


def _taken(place: _Place, batch: str, holder: str) -> str:
    return (
        f"{place.name}: file of batch {holder!r}; choose another output for batch {batch!r}, or another one for "
        f"{holder!r} and run that first"
    )


def _is_answers(batch: Batch) -> sa.ColumnElement[bool]:
    return outputs.c.key == _answers_of(batch).key
