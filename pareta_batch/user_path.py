"""Paths that may begin with `~`, the home directory."""

import re
from os import fspath
from os.path import expanduser
from pathlib import PurePath
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator


def expand_user(path: str) -> str:
    """Return the path with `~` or `~USER` at its start replaced by the home directory.

    A file name such as `~backup.csv` that names no user is returned unchanged. Raises ValueError for a folder `~USER`
    of an unknown user.
    """
    if not path.startswith("~"):
        return path
    expanded = expanduser(path)  # noqa: PTH111 - pathlib normalises the text, and fails for every unknown user
    user, slash, _ = path.partition("/")
    if expanded == path and slash:
        raise ValueError(f"path {path!r}: no user {user[1:]!r} on this machine; write the full path, or ./{path}")
    return expanded


def _path_text(value: object) -> object:
    return fspath(value) if isinstance(value, PurePath) else value


UserPath = Annotated[str, BeforeValidator(_path_text), AfterValidator(expand_user)]
"""A path in a spec, text or a `Path`; `~` is the home directory of the user of the process that reads the spec."""

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def local_path(path: str) -> str:
    """Return a path of this machine; raises ValueError for a URL, without what may be credentials in it."""
    if url := _URL.match(path):
        raise ValueError(
            f"{url[0]}… is a URL, and the file is written on this machine; write a path, and copy it later"
        )
    return expand_user(path)


LocalPath = Annotated[str, BeforeValidator(_path_text), AfterValidator(local_path)]
"""A path in a spec of a file that is written on this machine, as `UserPath` otherwise."""
