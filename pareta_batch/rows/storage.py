"""Files of a dataset on this machine or in an object store, in the order of their paths."""

import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO
from urllib.parse import urlencode

import pyarrow
from pyarrow import fs

from pareta_batch.errors import DatasetError
from pareta_batch.rows.address import ANONYMOUS, STANDARD_INPUT, URL_OPTIONS, Address
from pareta_batch.rows.frames import Table
from pareta_batch.rows.glob_pattern import fixed_part, glob_pattern, has_wildcards, is_hidden, partitions_of
from pareta_batch.rows.source import AnyDataset, compression_of
from pareta_batch.rows.standard_input import standard_input

BUFFER_BYTES = 4 * 1024 * 1024
"""Bytes of one read from an object store. Raising it makes fewer requests and holds more memory per open column."""

PIECE_BYTES = 64 * 1024
"""Bytes of one read from a decompressed stream. Raising it makes fewer calls."""

GCS_RETRY_S = 20
"""Seconds of retries against Google Cloud Storage, whose own default is 15 minutes. Raising it delays the error."""

FOLDER_OWNER = "_batch.json"
"""File in an answers folder with the batch that it belongs to."""
SUCCESS = "_SUCCESS"
"""File in an answers folder that is complete."""

SECRETS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


@dataclass(frozen=True)
class StoredFile:
    """A file: its name in messages, its path in its store, and the values of its hive partitions (KEY=VALUE folders).

    `store` is None for standard input.
    """

    name: str
    path: str
    store: fs.FileSystem | None
    partitions: Mapping[str, str | None] = field(default_factory=dict)

    def open_stream(self) -> IO[bytes]:
        """Open the file for reading from front to back, decompressed by its suffix."""
        if self.store is None:
            return standard_input()
        compression = compression_of(self.path)
        if compression is None and self.is_local:
            return Path(self.path).open("rb")
        # Arrow's own detection of a compression is case-sensitive.
        stream = self.store.open_input_stream(self.path, compression, buffer_size=BUFFER_BYTES)
        return io.BufferedReader(stream, PIECE_BYTES)  # an Arrow stream has no lines

    def open_file(self) -> IO[bytes]:
        """Open the file for reading at any position."""
        if self.store is None:
            return standard_input()
        file: IO[bytes] = self.store.open_input_file(self.path)
        return file

    @property
    def is_local(self) -> bool:
        """Whether reading at any position costs no request."""
        return self.store is None or isinstance(self.store, fs.LocalFileSystem)


def files_of(address: Address) -> tuple[StoredFile, ...]:
    """Return the files of a file, folder or glob, in the order of their paths.

    Names that begin with `_` or `.` are left out of a folder. Raises DatasetError if there is no file.
    """
    if address.store == STANDARD_INPUT:
        return (StoredFile("standard input", STANDARD_INPUT, None),)
    name = address.name_of(address.path)
    with readable(name):
        store = store_of(address)
        path = str(Path(address.path)) if address.store == "file" else address.path.rstrip("/")
        kind = _type_of(store, path)
        if kind == fs.FileType.File and not address.path.endswith("/"):
            return (StoredFile(name, path, store),)
        if kind == fs.FileType.Directory:
            below = f"{path.rstrip('/')}/"
            found = {each.removeprefix(below): each for each in files_below(store, path, recursive=True)}
            if FOLDER_OWNER in found and SUCCESS not in found:
                raise DatasetError([f"{name}: {_INCOMPLETE}"])
            paths = [each for short, each in found.items() if not is_hidden(short)]
        elif has_wildcards(path):
            paths = _matching(store, path)
        else:
            unfit = kind == fs.FileType.Unknown
            raise DatasetError([f"{name}: {'not a regular file; name a file or a folder' if unfit else _NO_FILE}"])
    if not paths:
        raise DatasetError([f"{name}: no file found; names that begin with _ or . are left out"])
    return tuple(StoredFile(address.name_of(each), each, store, partitions_of(each)) for each in sorted(paths))


_NO_FILE = "there is no such file"
_INCOMPLETE = f"answers folder without {SUCCESS}: its batch is still writing it, or ended early; run that batch again"


def local_files(dataset: AnyDataset) -> tuple[Path, ...]:
    """Return the files of this machine that a dataset names, whether they exist or not; empty for other datasets."""
    address = _local_address(dataset)
    if address is None:
        return ()
    path = Path(address.path)
    if not path.is_dir() and (path.exists() or not has_wildcards(address.path)):
        return (path,)
    try:
        return tuple(Path(file.path) for file in files_of(address))
    except DatasetError:  # a folder without a file
        return ()


def is_part(dataset: AnyDataset, path: Path) -> bool:
    """Return whether a file of this machine is, or would be, in the folder of a dataset or matched by its glob."""
    address = _local_address(dataset)
    if address is None:
        return False
    named, file = Path(address.path), path.resolve()
    if named.is_dir():
        return file.is_relative_to(named.resolve())
    if not has_wildcards(address.path) or named.exists():
        return False
    base = fixed_part(address.path)
    pattern = f"{Path(base).resolve()}/{address.path.removeprefix(base).removeprefix('./')}"
    return glob_pattern(pattern).fullmatch(str(file)) is not None


def _local_address(dataset: AnyDataset) -> Address | None:
    if isinstance(dataset, Table):
        return None
    try:
        address = Address.parse(str(dataset))
    except ValueError:
        return None
    return address if address.store == "file" else None


@contextmanager
def readable(name: str) -> Iterator[None]:
    """Raise DatasetError, with the file's name and without secrets, for an error that prevents reading it."""
    try:
        yield
    except UnicodeDecodeError:
        raise
    except (OSError, ValueError, EOFError, pyarrow.ArrowException) as error:
        raise DatasetError([f"{name}: {problem_of(error)}"]) from None


def problem_of(error: Exception) -> str:
    """Return the text of an error of a store, without secrets, and the next step if it is about credentials."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    for secret in filter(None, map(os.environ.get, SECRETS)):
        text = text.replace(secret, "[redacted]")
    return f"{text}{_next_step(text)}"


def _next_step(problem: str) -> str:
    if "OAuth2" in problem:
        return "; credentials come from the environment (GOOGLE_APPLICATION_CREDENTIALS); gs://anonymous@… needs none"
    if any(sign in problem for sign in ("ACCESS_DENIED", "credentials", "NO_CREDENTIALS", "INVALID_ACCESS_KEY")):
        return "; credentials come from the environment (AWS_PROFILE, AWS_ACCESS_KEY_ID …)"
    return ""


def store_of(address: Address) -> fs.FileSystem:
    """Return the file system of an address; raises OSError, ArrowException."""
    if address.store == "file":
        return fs.LocalFileSystem()
    bucket = address.path.split("/")[0]
    options = dict(address.options) | ({"retry_limit_seconds": str(GCS_RETRY_S)} if address.store == "gs" else {})
    user = f"{ANONYMOUS}@" if address.anonymous else ""
    store, _ = fs.FileSystem.from_uri(f"{address.store}://{user}{bucket}?{urlencode(options)}")
    return store


def _type_of(store: fs.FileSystem, path: str) -> fs.FileType:
    if "\0" in path:
        return fs.FileType.NotFound
    if isinstance(store, fs.LocalFileSystem):
        Path(path).is_file()
    return store.get_file_info(path).type


def files_below(store: fs.FileSystem, folder: str, *, recursive: bool) -> Iterator[str]:
    """Yield the files in a folder; a symbolic link to a folder is not followed."""
    if not isinstance(store, fs.LocalFileSystem):
        found = store.get_file_info(fs.FileSelector(folder, allow_not_found=True, recursive=recursive))
        yield from (each.path for each in found if each.type == fs.FileType.File)
        return
    for parent, folders, names in os.walk(folder or ".", onerror=_raise):
        yield from (str(Path(parent, name)) for name in names if Path(parent, name).is_file())
        if not recursive:
            folders.clear()


def _raise(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def _matching(store: fs.FileSystem, pattern: str) -> list[str]:
    base = fixed_part(pattern)
    recursive = "/" in pattern[len(base) :].lstrip("/")
    matches: Callable[[str], object] = glob_pattern(pattern).fullmatch
    candidates: Iterable[str] = files_below(store, base.rstrip("/") or base, recursive=recursive)
    return [path for path in candidates if matches(path)]


def base_of(dataset: AnyDataset) -> Path | Address:
    """Return the folder that relative paths of files begin at: that of the dataset, also in an object store."""
    address = None if isinstance(dataset, Table) else Address.parse(str(dataset))
    if address is None or address.store not in URL_OPTIONS:
        return folder_of(dataset)
    path = address.path.rstrip("/")
    with readable(address.name_of(path)):
        if has_wildcards(path):
            path = fixed_part(path).rstrip("/")
        elif _type_of(store_of(address), path) != fs.FileType.Directory:
            path = path.rpartition("/")[0]
    return replace(address, path=path)


def folder_of(dataset: AnyDataset) -> Path:
    """Return the folder that relative paths in a dataset begin at; the working directory for one that is not local."""
    address = _local_address(dataset)
    if address is None:
        return Path()
    path = Path(address.path)
    if path.is_dir():
        return path
    return Path(fixed_part(address.path)) if has_wildcards(address.path) and not path.exists() else path.parent
