"""Places of attached files: paths of this machine, and URLs of object stores."""

import os
import posixpath
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from pyarrow import fs

from pareta_batch.rows.address import Address
from pareta_batch.rows.storage import store_of

Root = Path | Address
"""A folder that relative paths begin at, or that no file may be outside of."""

MAX_STORES = 64
"""Open file systems of buckets; higher resolves fewer regions again for rows of many buckets."""

_OF_STORES = ("AWS_", "GOOGLE_")
"""Prefixes of the environment variables that a file system depends on."""


def root_of(folder: str) -> Root:
    """Return the root that a path or a URL names; raises ValueError for an unsupported URL."""
    address = Address.parse(folder)
    return Path(address.path) if address.store == "file" else address


def resolved(place: str, base: Root, only_below: Root | None) -> str:
    """Return the resolved path, or the URL, of a place that may be relative to `base`.

    Raises ValueError for an unsupported URL, and for a place outside of `only_below`.
    """
    if "\0" in place:
        raise ValueError(f"path {place[:200]!r} contains NUL")
    url = urlsplit(place)
    if url.scheme == "file":
        place = url2pathname(url.path)
    elif "://" in place:
        return _stored(Address.parse(place), only_below)
    if isinstance(base, Address) and url.scheme != "file":
        below = posixpath.normpath(f"{base.path.rstrip('/')}/{place}")
        return _stored(Address(base.store, below, base.shown, base.options, base.anonymous), only_below)
    return _local((Path(place) if isinstance(base, Address) else base / place).resolve(), only_below)


def _local(path: Path, only_below: Root | None) -> str:
    if only_below is None or (isinstance(only_below, Path) and path.is_relative_to(only_below.resolve())):
        return str(path)
    raise ValueError(f"file {str(path)!r} is outside of {_shown(only_below)!r}, the folder for attachments")


def _stored(address: Address, only_below: Root | None) -> str:
    if only_below is None:
        return address.url
    if isinstance(only_below, Address):
        store, path = (address.store, dict(address.options)), f"{only_below.path.rstrip('/')}/"
        inside = store == (only_below.store, dict(only_below.options)) and address.path.startswith(path)
        if inside and ".." not in address.path.split("/"):
            return address.url
    raise ValueError(f"file {address.url!r} is outside of {_shown(only_below)!r}, the folder for attachments")


def _shown(root: Root) -> str:
    return str(root) if isinstance(root, Path) else root.url


def is_stored(place: str) -> bool:
    """Return whether a resolved place is the URL of an object store."""
    return not place.startswith("/") and "://" in place


def size_of(place: str) -> int:
    """Return the bytes of a file. Raises ValueError if it is missing, OSError or ArrowException if it is unreadable."""
    if is_stored(place):
        store, path = _at(place)
        found = store.get_file_info(path)
        if found.type != fs.FileType.File:
            raise ValueError("there is no such file")
        return int(found.size)
    path_here = Path(place)
    if not path_here.is_file():
        raise ValueError("there is no such file")
    return path_here.stat().st_size


def content_of(place: str) -> bytes:
    """Return the bytes of a file; raises OSError or ArrowException."""
    if not is_stored(place):
        return Path(place).read_bytes()
    store, path = _at(place)
    with store.open_input_stream(path, compression=None) as file:
        return bytes(file.read())


def _at(url: str) -> tuple[fs.FileSystem, str]:
    address = Address.parse(url)
    environment = frozenset((name, value) for name, value in os.environ.items() if name.startswith(_OF_STORES))
    bucket = Address(address.store, address.path.split("/")[0], "", address.options, address.anonymous)
    return _file_system(bucket.url, environment), address.path


@lru_cache(MAX_STORES)
def _file_system(url: str, _environment: frozenset[tuple[str, str]]) -> fs.FileSystem:
    return store_of(Address.parse(url))
