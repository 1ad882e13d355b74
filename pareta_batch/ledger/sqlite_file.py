"""The file of an SQLite ledger: its identity, and the locks on it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from pareta_batch.errors import LedgerError
from pareta_batch.ledger.file_descriptors import Inode, descriptors, inode_of
from pareta_batch.ledger.file_locks import acquire, holder

_USER_VERSION = 60  # offset of `user_version` in the header of an SQLite file
_RESTORE = "restore a backup of it and run it again: rows that the backup does not know are sent again"


class LedgerFile:
    """The file of one ledger, with its identity at opening time; `path` is the path that SQLite opened."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self._log_path = self._sibling("-wal")
        self._inode = inode_of(self.path.stat())
        self._runs = 0
        self._log: Inode | None = None

    def problem(self) -> str | None:
        """Return how the file was deleted or replaced during use, with the next step; None if it was not.

        The write-ahead log of a deleted file is renamed: SQLite would apply it to a backup under the same name.
        """
        try:
            found = self.path.stat()
        except OSError:
            if self._is_linked():
                return f"the file was moved while a run used it; move it back, or remove its -wal file and {_RESTORE}"
            return f"the file was deleted while a run used it{self._set_log_aside()}; {_RESTORE}"
        if inode_of(found) != self._inode:
            return f"the file was replaced by another one while a run used it{self._set_log_aside()}; {_RESTORE}"
        if overwritten := self.overwritten():
            return overwritten
        if self._log is not None and self._inode_of_log() != self._log:
            step = "run it again and leave that file alone; restore a backup if the ledger is damaged"
            return f"its write-ahead log (-wal) was deleted or replaced while a run used it; {step}"
        return None

    def overwritten(self) -> str | None:
        """Return how the file was overwritten in place during use, with the next step; None if it was not.

        What is read from such a file is a mixture of its old and its new pages.
        """
        try:
            runs = self._runs_in_file() if self._runs else 0
        except OSError:  # deleted or replaced: open connections still read the old file
            return None
        if runs >= self._runs:
            return None
        return f"the file was overwritten while a run used it ({runs} of {self._runs} runs are in it); {_RESTORE}"

    def count_run(self, db: sa.Connection) -> None:
        """Increase the run counter in the file's header; it reveals an older backup copied over the file."""
        cursor = db.exec_driver_sql
        cursor("BEGIN IMMEDIATE")
        cursor(f"PRAGMA user_version = {1 + int(cursor('PRAGMA user_version').scalar_one())}")
        cursor("COMMIT")
        cursor("PRAGMA wal_checkpoint(PASSIVE)")
        with _named_errors(self.path):
            # A reader can delay the checkpoint of the header: then the last written counter counts.
            self._runs = self._runs_in_file()
            self._log = self._inode_of_log()

    def _runs_in_file(self) -> int:
        with self._descriptor() as descriptor:
            return int.from_bytes(os.pread(descriptor, 4, _USER_VERSION))

    def _is_linked(self) -> bool:
        try:
            with self._descriptor() as descriptor:
                return os.fstat(descriptor).st_nlink > 0
        except OSError:  # no run has used it
            return False

    def _set_log_aside(self) -> str:
        if self._log is None or self._inode_of_log() != self._log:
            return ""
        self._log_path.replace(aside := self._sibling("-wal.left"))
        self._sibling("-shm").unlink(missing_ok=True)
        return f" (its write-ahead log is now {aside})"

    def _inode_of_log(self) -> Inode | None:
        try:
            return inode_of(self._log_path.stat())
        except FileNotFoundError:
            return None

    def _sibling(self, ending: str) -> Path:
        return self.path.with_name(self.path.name + ending)

    @contextmanager
    def _descriptor(self) -> Iterator[int]:
        descriptor = descriptors.take(self.path, self._inode)
        try:
            yield descriptor
        finally:
            descriptors.give_back(self._inode, descriptor)

    @contextmanager
    def lock(self, batch: str) -> Iterator[None]:
        """Hold the lock of a batch; the operating system releases it if this process dies.

        Raises BatchBusy while another run holds it, LedgerError when the file cannot be locked.
        """
        with _named_errors(self.path):
            release = acquire(self.path, self._inode, batch)
        try:
            yield
        finally:
            release()

    def holder(self, batch: str) -> str | None:
        """Return the process that holds the lock of a batch, or None. Raises LedgerError as `lock`."""
        with _named_errors(self.path):
            return holder(self.path, self._inode, batch)

    def forget_log(self) -> None:
        """Forget the known log: SQLite removes it when the last connection is closed."""
        self._log = None

    def close(self) -> None:
        """Close the descriptors of released locks, once no connection of this process uses the file."""
        self.forget_log()
        descriptors.close_idle(self._inode)


def note_opened(path: str) -> Inode:
    """Record an SQLite connection to a file, and return the file's inode; its locks are kept until `note_closed`."""
    inode = inode_of(Path(path).stat())
    descriptors.opened(inode)
    return inode


def note_closed(inode: Inode) -> bool:
    """Record a closed connection; return whether no other one of this process is open."""
    return descriptors.closed(inode)


@contextmanager
def _named_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        step = "keep the ledger on a disk of this machine, or on PostgreSQL"
        raise LedgerError(f"ledger {path}: the file cannot be locked ({error}); {step}") from error
