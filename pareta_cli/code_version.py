"""Version of the code in a folder: of the package, with the commit if the folder is a Git clone."""

import os
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

COMMIT = "PARETA_COMMIT_SHA"
"""Variable with the commit of an image, which has no clone."""
SHA_CHARS = 12
"""Characters of the commit in a version. Raising it makes the version longer."""
GIT_WITHIN_S = 10
"""Seconds for one Git command. Raising it delays a set-up on a hung file system."""


def commit_sha(folder: Path) -> str | None:
    """Return the commit that is checked out in a folder, or that of the image; None if neither is known."""
    return _git(folder, "rev-parse", "HEAD") or os.environ.get(COMMIT) or None


def code_version(folder: Path | None) -> str:
    """Return the version of a folder: `1.2.0+g1a2b3c4d5e6f`, or `1.2.0` without a commit.

    Uncommitted changes add `.dirty`.
    None is a folder that is not known now: each run clones its repository.
    """
    own = version("pareta-pipelines")
    if folder is None or (sha := commit_sha(folder)) is None:
        return own
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return f"{own}+g{sha[:SHA_CHARS]}{'.dirty' if changed else ''}"


def _git(folder: Path, *arguments: str) -> str | None:
    program = shutil.which("git")
    if program is None:
        return None
    command = [program, "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=GIT_WITHIN_S, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
