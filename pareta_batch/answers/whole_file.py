"""Atomic replacement of a file."""

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


def part_path(target: Path) -> Path:
    """Return a unique path in the target's folder; its length does not depend on the target's name."""
    return target.with_name(f".pareta-{secrets.token_hex(8)}.part")
