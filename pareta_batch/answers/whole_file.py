"""A file that is there whole or not at all."""

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a new file to write, which takes the place of `path` at the end.

    A symlink stays, and its target is replaced. The new file has a name of its own, and is removed when the body fails.
    """
    target = path.resolve()
    part = part_beside(target)
    part.open("xb").close()
    try:
        yield part
        with suppress(FileNotFoundError):
            shutil.copymode(target, part)
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def part_beside(target: Path) -> Path:
    """Return a path in the target's folder that no other file has; its length does not depend on the target's."""
    return target.with_name(f".pareta-{secrets.token_hex(8)}.part")
