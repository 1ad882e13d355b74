"""Atomic replacement of a file, and the check that it is possible."""

import errno
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield the path of a new file, which replaces `path` when the body succeeds and is removed when it fails.

    If `path` is a symlink, its target is replaced.
    """
    target = path.resolve()
    part = part_path(target)
    part.open("xb").close()
    try:
        yield part
        with suppress(FileNotFoundError):
            shutil.copymode(target, part)
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def check_replaceable(path: Path) -> None:
    """Check that `whole_file` can create or replace a file; its folder is created, and the file is left unchanged.

    Raises OSError, for instance for an immutable file or a read-only folder; before Python 3.13 RuntimeError for
    circular symlinks.
    """
    target = path.resolve()
    if target.is_symlink():
        # From Python 3.13 on `resolve` leaves circular symlinks as they are.
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    trial = part_path(target)
    trial.open("xb").close()
    trial.unlink()
    if target.exists():
        _check_existing(target, trial)


def _check_existing(target: Path, trial: Path) -> None:
    if str(target) in _mount_points():
        raise OSError(errno.EBUSY, "it is a mount of its own, which cannot be replaced; mount its folder instead")
    trial.mkdir()
    try:
        # A file never replaces a folder. The kernel checks first whether the file may be moved at all: it may not if
        # it is immutable, or belongs to another user in a folder with the sticky bit.
        target.rename(trial)
    except IsADirectoryError:
        pass
    finally:
        trial.rmdir()


def _mount_points() -> set[str]:
    try:
        lines = MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:  # other systems than Linux
        return set()
    return {re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), line.split()[4]) for line in lines}


MOUNTS = Path("/proc/self/mountinfo")


def part_path(target: Path) -> Path:
    """Return a unique path in the target's folder; its length does not depend on the target's name."""
    return target.with_name(f".pareta-{secrets.token_hex(8)}.part")
