"""Locks of batches on the file of an SQLite ledger; the operating system releases them when their owner dies."""

import errno
import fcntl
import hashlib
import os
import socket
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pareta_batch.errors import BatchBusy
from pareta_batch.ledger.file_descriptors import Inode, descriptors

FIRST_LOCK = 1 << 62
"""Byte offset of the first lock: beyond the end of any file, and beyond the bytes that SQLite locks (at 2^30)."""
LOCK_BYTES = 1 << 23
"""Bytes per lock: process N locks 1 + N bytes, and Linux has 2^22 process ids."""
LOCKS = 1 << 38
"""Number of locks; higher makes a hash collision of two batch names rarer."""
HAS_OFD_LOCKS = sys.platform == "linux"
"""Whether locks of open file descriptions exist: within one process they exclude each other, unlike POSIX locks."""
LOCK_FOLDER = Path("/tmp/pareta-locks")  # noqa: S108 - all users of the machine must share one folder
_STRUCT_FLOCK = "hhqqi"  # of Linux: type, whence, start, length, process

Found = TypeVar("Found")


def acquire(path: Path, inode: Inode, batch: str) -> Callable[[], None]:
    """Acquire the lock of a batch, and return the function that releases it.

    Raises BatchBusy while another run holds it, OSError when the file cannot be locked.
    """
    return _on_range_or_file(lambda: _lock_range(path, inode, batch), lambda: _lock_file(inode, batch))


def holder(path: Path, inode: Inode, batch: str) -> str | None:
    """Return the process that holds the lock of a batch, or None. Raises OSError when the file cannot be locked.

    Without locks of open file descriptions, the lock is acquired for a moment to see whether it is free.
    """
    return _on_range_or_file(lambda: _holder_of_range(path, inode, batch), lambda: _holder_of_file(inode, batch))


def _on_range_or_file(on_range: Callable[[], Found], on_file: Callable[[], Found]) -> Found:
    if HAS_OFD_LOCKS:
        try:
            return on_range()
        except OSError as error:
            if error.errno != errno.EINVAL:  # EINVAL: the kernel does not support these locks
                raise
    return on_file()


def _holder_of_range(path: Path, inode: Inode, batch: str) -> str | None:
    descriptor = descriptors.take(path, inode)
    try:
        found = _fcntl(descriptor, fcntl.F_OFD_GETLK, fcntl.F_WRLCK, batch, LOCK_BYTES)
    finally:
        descriptors.give_back(inode, descriptor)
    return None if found[0] == fcntl.F_UNLCK else _owner(found[3] - 1)


def _holder_of_file(inode: Inode, batch: str) -> str | None:
    try:
        release = _lock_file(inode, batch)
    except BatchBusy as busy:
        return busy.owner
    release()
    return None


def _lock_range(path: Path, inode: Inode, batch: str) -> Callable[[], None]:
    """Lock the batch's byte range of the ledger's file, and return the function that releases it."""
    descriptor = descriptors.take(path, inode)
    try:
        _fcntl(descriptor, fcntl.F_OFD_SETLK, fcntl.F_WRLCK, batch, 1 + os.getpid())
    except BlockingIOError:
        descriptors.give_back(inode, descriptor)
        raise BatchBusy(batch, _holder_of_range(path, inode, batch) or "another run") from None
    except OSError:
        descriptors.give_back(inode, descriptor)
        raise

    def release() -> None:
        _fcntl(descriptor, fcntl.F_OFD_SETLK, fcntl.F_UNLCK, batch, LOCK_BYTES)
        descriptors.give_back(inode, descriptor)

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
    descriptors.own(descriptor)
    os.ftruncate(descriptor, 0)
    os.write(descriptor, str(os.getpid()).encode())

    def release() -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)  # explicitly: a child that was just forked may have a copy
        descriptors.close(descriptor)

    return release


def _number(batch: str) -> int:
    return int.from_bytes(hashlib.sha256(f"pareta-batch/{batch}".encode()).digest()[:8])


def _owner(process: int) -> str:
    return f"process {process} on {socket.gethostname()}"
