"""Version of the running code, or of the code in a folder: of the package, with the commit of a Git clone."""

import os
import shutil
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path

COMMIT = "PARETA_COMMIT_SHA"
"""Variable with the commit of an image, which has no clone."""
PACKAGE = "pareta-pipelines"
SHA_CHARS = 12
"""Characters of the commit in a version. Raising it makes the version longer."""
GIT_WITHIN_S = 10
"""Seconds for one Git command. Raising it delays a set-up on a hung file system."""


@cache
def running_version() -> str:
    """Return the version of the running code; the commit of the clone that it belongs to, or that of its image."""
    here = Path(__file__)
    if _git(here.parent, "ls-files", "--error-unmatch", here.name) is not None:
        return code_version(here.parent)
    # An installed package can lie in the folder of another clone.
    return _with_commit(os.environ.get(COMMIT))


def commit_sha(folder: Path) -> str | None:
    """Return the commit that is checked out in a folder, or that of the image; None if neither is known."""
    return _git(folder, "rev-parse", "HEAD") or os.environ.get(COMMIT) or None


def code_version(folder: Path | None) -> str:
    """Return the version of a folder: `1.2.0+g1a2b3c4d5e6f`, or `1.2.0` without a commit.

    Uncommitted changes add `.dirty`.
    None is a folder that is not known now: each run clones its repository.
    """
    own = _with_commit(None if folder is None else commit_sha(folder))
    changed = folder and _git(folder, "status", "--porcelain", "--untracked-files=no")
    return f"{own}.dirty" if changed else own


def _with_commit(sha: str | None) -> str:
    own = version(PACKAGE)
    return f"{own}+g{sha[:SHA_CHARS]}" if sha else own


def _git(folder: Path, *arguments: str) -> str | None:
    program = shutil.which("git")
    if program is None:
        return None
    # Without it, `status` locks the index, and a commit of a person at that moment fails.
    command = [program, "--no-optional-locks", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=GIT_WITHIN_S, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
