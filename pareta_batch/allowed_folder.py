"""Confinement of untrusted paths to one folder, after links and dots are resolved."""

import re
from pathlib import Path

from pareta_batch.errors import NotAllowed
from pareta_batch.rows import AnyDataset, Table, local_files

ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
EXPANDED = ("~", "$", "%", "{")


def confined(path: str, folder: str, what: str) -> str:
    """Return the resolved path, which is inside the folder.

    Raises NotAllowed for a path outside it, for an address (s3://…), and for characters that a shell expands.
    """
    if ADDRESS.match(path) or "\\" in path or path.startswith("//"):
        raise NotAllowed(f"{what} {path!r:.200}: not a path of this machine; name a file under {folder!r}")
    if any(sign in path for sign in EXPANDED) or "\0" in path or not path.strip():
        raise NotAllowed(f"{what} {path!r:.200}: not a plain path; name a file under {folder!r}")
    try:
        home, found = Path(folder).resolve(), Path(path).resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise NotAllowed(f"{what} {path!r:.200}: cannot be resolved ({error}); name a file under {folder!r}") from None
    if any(part.is_symlink() for part in (found, *found.parents)):
        # From Python 3.13 on `resolve` leaves circular symlinks as they are.
        raise NotAllowed(f"{what} {path!r:.200}: circular symlinks; name a file under {folder!r}")
    if not found.is_relative_to(home):
        raise NotAllowed(f"{what} {path!r:.200}: leads out of {folder!r}, the folder that this deployment may use")
    return str(found)


def confined_dataset(dataset: AnyDataset, folder: str, what: str) -> AnyDataset:
    """Return the dataset with its resolved path; every file of it is inside the folder.

    Raises NotAllowed, and DatasetError for a folder or glob that cannot be read.
    """
    if isinstance(dataset, Table):
        raise NotAllowed(f"{what}: a table in memory; name a file under {folder!r}")
    path = confined(str(dataset), folder, what)
    for file in local_files(path):
        confined(str(file), folder, what)
    return path if isinstance(dataset, str) else dataset.model_copy(update={"path": path})
