"""File descriptors that hold locks on SQLite files.

When a process closes any descriptor of a file, it loses all its POSIX locks on the file. SQLite uses such locks, so
another program would then see an unlocked database. A descriptor is therefore kept and reused until no connection of
this process has the file open.
"""

import errno
import os
import threading
from collections import Counter, defaultdict
from pathlib import Path

Inode = tuple[int, int]


def inode_of(found: os.stat_result) -> Inode:
    """Return device and inode, which identify a file under all its paths."""
    return found.st_dev, found.st_ino


class Descriptors:
    """The lock descriptors of one process; safe to use from several threads."""

    def __init__(self) -> None:
        self._reset()

    def opened(self, inode: Inode) -> None:
        """Count an opened connection to the file."""
        with self._mutex:
            self._connections[inode] += 1

    def closed(self, inode: Inode) -> bool:
        """Count a closed connection to the file; return whether no other one is open."""
        with self._mutex:
            self._connections[inode] -= 1
            return self._connections[inode] == 0

    def take(self, path: Path, inode: Inode) -> int:
        """Return a descriptor of the file without a lock; raises OSError."""
        with self._mutex:
            idle = self._idle[inode]
            descriptor = idle.pop() if idle else os.open(path, os.O_RDWR)
            if (found := inode_of(os.fstat(descriptor))) != inode:
                self._idle[found].append(descriptor)
                raise FileNotFoundError(errno.ENOENT, "the file was replaced by another one")
            self._used.add(descriptor)
            return descriptor

    def give_back(self, inode: Inode, descriptor: int) -> None:
        """Keep a descriptor with a released lock for the next lock."""
        with self._mutex:
            self._used.discard(descriptor)
            self._idle[inode].append(descriptor)

    def own(self, descriptor: int) -> None:
        """Register a descriptor that a forked process must close too."""
        with self._mutex:
            self._used.add(descriptor)

    def close(self, descriptor: int) -> None:
        """Close a descriptor of a file that is not an SQLite file."""
        with self._mutex:
            self._used.discard(descriptor)
            os.close(descriptor)

    def close_idle(self, inode: Inode) -> None:
        """Close the unused descriptors, unless a connection of this process has the file open."""
        with self._mutex:
            if self._connections[inode] <= 0:
                for descriptor in self._idle.pop(inode, ()):
                    os.close(descriptor)

    def forget(self) -> None:
        """Close all descriptors in a forked process: a lock must end with the process that acquired it."""
        for descriptor in [*self._used, *(each for idle in self._idle.values() for each in idle)]:
            os.close(descriptor)
        self._reset()  # a thread of the parent process may have held the mutex

    def _reset(self) -> None:
        self._connections: Counter[Inode] = Counter()
        self._idle: defaultdict[Inode, list[int]] = defaultdict(list)
        self._used: set[int] = set()
        self._mutex = threading.Lock()


descriptors = Descriptors()
"""The lock descriptors of this process."""
os.register_at_fork(after_in_child=descriptors.forget)
