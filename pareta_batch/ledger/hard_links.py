"""One name for an SQLite file that has several hard links.

SQLite keeps its write-ahead log beside the name that it opened: under a second name it would not find the log, and
would damage the file. So the first name is noted in an extended attribute of the file, and used from then on.
"""

import os
from pathlib import Path

from pareta_batch.errors import LedgerError

ATTRIBUTE = "user.pareta.ledger"


def name_to_open(path: Path) -> Path:
    """Return the name under which the file at `path` is to be opened; the path itself for a new file.

    Raises LedgerError for a file with several links where no name can be noted.
    """
    here = path.resolve()
    if not here.is_file():
        return path
    try:
        return _noted(here)
    except (OSError, AttributeError) as error:  # a file system or a platform without extended attributes
        if (links := here.stat().st_nlink) == 1:
            return path
        problem = f"the file has {links} hard links, and SQLite may be used under one name only ({error})"
        raise LedgerError(f"ledger {path}: {problem}; remove the other links, or use symbolic ones") from error


def _noted(here: Path) -> Path:
    found = here.stat()
    if found.st_nlink > 1:
        try:
            os.setxattr(here, ATTRIBUTE, os.fsencode(here), os.XATTR_CREATE)
        except FileExistsError:
            first = Path(os.fsdecode(os.getxattr(here, ATTRIBUTE)))
            if first.exists() and os.path.samestat(first.stat(), found):
                return first
    # The only link, or the noted one is gone.
    os.setxattr(here, ATTRIBUTE, os.fsencode(here))
    return here
