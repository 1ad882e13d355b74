"""A folder of answers on this machine or in an object store, which belongs to one batch of one ledger.

_batch.json          the batch, and a token of its ledger; written before the first part
part-00042.parquet   the answers of one range of shards, each written atomically
_SUCCESS             written last; absent while parts are missing or change
"""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from pyarrow import ArrowException, fs

from pareta_batch.answers.whole_file import check_replaceable, part_path, whole_file
from pareta_batch.errors import OutputError
from pareta_batch.rows import FOLDER_OWNER, SUCCESS, Address, files_below, problem_of, store_of

COMPARED_BYTES = 4 * 1024 * 1024
"""Bytes of a part that are compared at once. Raising it makes fewer requests and needs more memory."""

_PART = re.compile(r"part-\d{5,}\.(parquet|jsonl|csv)")
_TEMPORARY = re.compile(r"\.pareta-[0-9a-f]{16}\.part")


@dataclass(frozen=True)
class Owner:
    """The batch that a folder belongs to, and the token of the ledger that it was claimed in."""

    batch: str
    token: str


class OutputFolder:
    """The files of an output folder; every error of its store is an OutputError."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._is_local = address.store == "file"
        self._path = str(Path(address.path).resolve()) if self._is_local else address.path.rstrip("/")
        self.name = address.name_of(address.path)
        with self._errors():
            self._store = store_of(address)

    def files(self) -> Sequence[str]:
        """Return the files in the folder, as paths below it, without those that a killed process left half-written."""
        with self._errors():
            if self._type(self._path) == fs.FileType.File:
                raise OutputError(f"answers folder {self.name}: it is a file; choose another output")
            below = f"{self._path}/"
            found = (each.removeprefix(below) for each in files_below(self._store, self._path, recursive=True))
            return sorted(each for each in found if not _TEMPORARY.fullmatch(each))

    def parts(self) -> Sequence[str]:
        """Return the names of the parts in the folder."""
        return [name for name in self.files() if _PART.fullmatch(name)]

    def dataset_of(self, part: str) -> str:
        """Return the path or URL of a part, to read it as a dataset."""
        address = self._address
        if self._is_local:
            return self._at(part)
        return Address(address.store, self._at(part), address.shown, address.options).url

    def owner(self) -> Owner | None:
        """Return the owner of the folder; None without one. Raises OutputError for a marker that cannot be read."""
        text = self._read(FOLDER_OWNER)
        try:
            return None if text is None else Owner(**json.loads(text))
        except (ValueError, TypeError):
            raise OutputError(
                f"answers folder {self.name}: {FOLDER_OWNER} is not the marker of a batch; choose another output"
            ) from None

    def owner_above(self) -> str | None:
        """Return the answers folder that this folder is in; None without one."""
        above = [str(parent) for parent in PurePosixPath(self._path).parents if self._is_local or parent.parts[1:]]
        with self._errors():
            markers = self._store.get_file_info([f"{parent.rstrip('/')}/{FOLDER_OWNER}" for parent in above])
        return next((str(PurePosixPath(each.path).parent) for each in markers if each.type == fs.FileType.File), None)

    def check_writable(self) -> None:
        """Check that a folder of this machine can be written; it is created. In an object store the marker shows it."""
        if self._is_local:
            with self._errors():
                check_replaceable(Path(self._at(FOLDER_OWNER)))

    def take(self, owner: Owner) -> None:
        """Write the marker of the owner."""
        self._write(FOLDER_OWNER, json.dumps(vars(owner)))

    def complete(self, summary: object) -> None:
        """Write `_SUCCESS` with a summary, unless it has this summary already."""
        text = json.dumps(summary)
        if self._read(SUCCESS) != text:
            self._write(SUCCESS, text)

    @contextmanager
    def new_part(self, name: str) -> Iterator[Path]:
        """Yield the path of a new file, which becomes the part when the body succeeds.

        A part with the same content stays as it is. Before another one is replaced, `_SUCCESS` is removed.
        """
        with self._errors(), self._temporary(name) as part:
            yield part
            if not self._has(name, part):
                self.remove(SUCCESS)
                self._publish(name, part)

    def remove(self, name: str) -> None:
        """Remove a file of the folder, if it exists."""
        with self._errors():
            if self._type(self._at(name)) == fs.FileType.File:
                self._store.delete_file(self._at(name))

    def _has(self, name: str, part: Path) -> bool:
        """Return whether a file of the folder has the content of a local file."""
        with self._errors():
            found = self._store.get_file_info(self._at(name))
            if found.type != fs.FileType.File or found.size != part.stat().st_size:
                return False
            with self._store.open_input_stream(self._at(name), compression=None) as old, part.open("rb") as new:
                while chunk := new.read(COMPARED_BYTES):
                    if old.read(len(chunk)) != chunk:
                        return False
            return True

    @contextmanager
    def _temporary(self, name: str) -> Iterator[Path]:
        """Yield a path of this machine for a new part; of the folder itself, if it is here, to be renamed."""
        if not self._is_local:
            with TemporaryDirectory(prefix="pareta-") as folder:
                yield Path(folder, name)
            return
        part = part_path(Path(self._at(name)))
        try:
            yield part
        finally:
            part.unlink(missing_ok=True)

    def _publish(self, name: str, part: Path) -> None:
        if self._is_local:
            part.replace(self._at(name))
            return
        # An object appears when its upload is complete. The source is a complete file: a writer that fails in the
        # middle of a stream would publish what it has written.
        local = fs.LocalFileSystem()
        fs.copy_files(str(part), self._at(name), source_filesystem=local, destination_filesystem=self._store)

    def _write(self, name: str, text: str) -> None:
        with self._errors():
            if self._is_local:
                with whole_file(Path(self._at(name))) as part:
                    part.write_text(text, encoding="utf-8")
                return
            with self._store.open_output_stream(self._at(name), compression=None) as file:
                file.write(text.encode())

    def _read(self, name: str) -> str | None:
        with self._errors():
            if self._type(self._at(name)) != fs.FileType.File:
                return None
            with self._store.open_input_stream(self._at(name), compression=None) as file:
                return bytes(file.read()).decode(errors="replace")

    def _at(self, name: str) -> str:
        return f"{self._path}/{name}"

    def _type(self, path: str) -> fs.FileType:
        return self._store.get_file_info(path).type

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError, RuntimeError, ArrowException) as error:
            raise OutputError(
                f"answers folder {self.name}: {problem_of(error)}; correct it, or choose another output"
            ) from error
