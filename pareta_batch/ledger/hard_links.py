"""One name for an SQLite file that has several hard links.

SQLite keeps its write-ahead log next to the name that it opened. Under a second name it does not find the log, and
damages the file. The first name is therefore stored in an extended attribute of the file, and always used.
"""

import os
from pathlib import Path

from pareta_batch.errors import LedgerError

ATTRIBUTE = "user.pareta.ledger"


def name_to_open(path: Path) -> Path:
    """Return the name under which the file at `path` must be opened; the path itself for a new file.

    Raises LedgerError for a file with several hard links on a file system without extended attributes.
    """
    resolved = path.resolve()
    if not resolved.is_file():
        return path
    try:
        return _stored_name(resolved)
    except (OSError, AttributeError) as error:  # a file system or a platform without extended attributes
        if (links := resolved.stat().st_nlink) == 1:
            return path
        problem = f"the file has {links} hard links, and SQLite may be used under one name only ({error})"
        raise LedgerError(f"ledger {path}: {problem}; remove the other links, or use symbolic ones") from error


def _stored_name(path: Path) -> Path:
    found = path.stat()
    if found.st_nlink > 1:
        try:
            os.setxattr(path, ATTRIBUTE, os.fsencode(path), os.XATTR_CREATE)
        except FileExistsError:
            first = Path(os.fsdecode(os.getxattr(path, ATTRIBUTE)))
            if first.exists() and os.path.samestat(first.stat(), found):
                return first
    # The only link, or the stored name no longer exists.
    os.setxattr(path, ATTRIBUTE, os.fsencode(path))
    return path
