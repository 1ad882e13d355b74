"""The file of an SQLite ledger: its identity, and the locks on it."""

import errno
import fcntl
import hashlib
import os
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from pareta_batch.errors import BatchBusy, LedgerError
from pareta_batch.ledger.file_descriptors import Descriptors, Inode, inode_of

FIRST_LOCK = 1 << 62
"""Byte offset of the first lock: beyond the end of any file, and beyond the bytes that SQLite locks (at 2^30)."""
LOCK_BYTES = 1 << 23
"""Bytes per lock: process N locks 1 + N bytes, and Linux has 2^22 process ids."""
LOCKS = 1 << 38
"""Number of locks; higher makes a hash collision of two batch names rarer."""
HAS_OFD_LOCKS = sys.platform == "linux"
"""Whether locks of open file descriptions exist: within one process they exclude each other, unlike POSIX locks."""
LOCK_FOLDER = Path("/tmp/pareta-locks")  # noqa: S108 - all users of the machine must share one folder

_USER_VERSION = 60  # offset of `user_version` in the header of an SQLite file
_STRUCT_FLOCK = "hhqqi"  # of Linux: type, whence, start, length, process
_RESTORE = "restore a backup of it and run it again: rows that the backup does not know are sent again"

_descriptors = Descriptors()
os.register_at_fork(after_in_child=_descriptors.forget)


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

    def _acquire(self, batch: str) -> Callable[[], None]:
        """Acquire the lock of a batch, and return the function that releases it."""
        if HAS_OFD_LOCKS:
            try:
                return _lock_range(self.path, self._inode, batch)
            except OSError as error:
                if error.errno != errno.EINVAL:  # EINVAL: the kernel does not support these locks
                    raise
        return _lock_file(self._inode, batch)

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
        descriptor = _descriptors.take(self.path, self._inode)
        try:
            yield descriptor
        finally:
            _descriptors.give_back(self._inode, descriptor)

    @contextmanager
    def lock(self, batch: str) -> Iterator[None]:
        """Hold the lock of a batch; the operating system releases it if this process dies.

        Raises BatchBusy while another run holds it, LedgerError when the file cannot be locked.
        """
        with _named_errors(self.path):
            release = self._acquire(batch)
        try:
            yield
        finally:
            release()

    def forget_log(self) -> None:
        """Forget the known log: SQLite removes it when the last connection is closed."""
        self._log = None

    def close(self) -> None:
        """Close the descriptors of released locks, once no connection of this process uses the file."""
        self.forget_log()
        _descriptors.close_idle(self._inode)


def note_opened(path: str) -> Inode:
    """Record an SQLite connection to a file, and return the file's inode; its locks are kept until `note_closed`."""
    inode = inode_of(Path(path).stat())
    _descriptors.opened(inode)
    return inode


def note_closed(inode: Inode) -> bool:
    """Record a closed connection; return whether no other one of this process is open."""
    return _descriptors.closed(inode)


def _lock_range(path: Path, inode: Inode, batch: str) -> Callable[[], None]:
    """Lock the batch's byte range of the ledger's file, and return the function that releases it."""
    descriptor = _descriptors.take(path, inode)
    try:
        _fcntl(descriptor, fcntl.F_OFD_SETLK, fcntl.F_WRLCK, batch, 1 + os.getpid())
    except BlockingIOError:
        found = _fcntl(descriptor, fcntl.F_OFD_GETLK, fcntl.F_WRLCK, batch, LOCK_BYTES)
        _descriptors.give_back(inode, descriptor)
        raise BatchBusy(batch, _owner(found[3] - 1) if found[0] != fcntl.F_UNLCK else "another run") from None
    except OSError:
        _descriptors.give_back(inode, descriptor)
        raise

    def release() -> None:
        _fcntl(descriptor, fcntl.F_OFD_SETLK, fcntl.F_UNLCK, batch, LOCK_BYTES)
        _descriptors.give_back(inode, descriptor)

    return release


def _fcntl(descriptor: int, command: int, kind: int, batch: str, length: int) -> tuple[int, ...]:
    start = FIRST_LOCK + _number(batch) % LOCKS * LOCK_BYTES
    found = fcntl.fcntl(descriptor, command, struct.pack(_STRUCT_FLOCK, kind, os.SEEK_SET, start, length, 0))
    return struct.unpack(_STRUCT_FLOCK, found)


def _lock_file(inode: Inode, batch: str) -> Callable[[], None]:
    """Lock a file named by the ledger's inode, and return the function that releases the lock.

    On macOS and the BSDs every lock on the ledger's own file would interfere with SQLite's locks.
    """
    if not LOCK_FOLDER.exists():
        LOCK_FOLDER.mkdir(exist_ok=True)
        LOCK_FOLDER.chmod(0o1777)
    path = LOCK_FOLDER / f"{inode[0]:x}-{inode[1]:x}-{_number(batch):x}.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = int(os.read(descriptor, 20) or 0)
        os.close(descriptor)
        raise BatchBusy(batch, _owner(owner) if owner else "another run") from None
    _descriptors.own(descriptor)
    os.ftruncate(descriptor, 0)
    os.write(descriptor, str(os.getpid()).encode())

    def release() -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)  # explicitly: a child that was just forked may have a copy
        _descriptors.close(descriptor)

    return release


def _number(batch: str) -> int:
    return int.from_bytes(hashlib.sha256(f"pareta-batch/{batch}".encode()).digest()[:8])


def _owner(process: int) -> str:
    return f"process {process} on {socket.gethostname()}"


@contextmanager
def _named_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        step = "keep the ledger on a disk of this machine, or on PostgreSQL"
        raise LedgerError(f"ledger {path}: the file cannot be locked ({error}); {step}") from error
