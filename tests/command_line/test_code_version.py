"""The version of deployments: the package, and the commit of a clone or of an image."""

import os
import subprocess
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from pareta_batch.versions import COMMIT, code_version, commit_sha, running_version

OWN = version("pareta-pipelines")


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@b.example")
    done = subprocess.run(["git", "-C", folder, *who, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv(COMMIT, raising=False)
    folder = tmp_path / "clone"
    folder.mkdir()
    git(folder, "init", "--quiet")
    (folder / "a.yaml").write_text("a")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "first")
    return folder


def test_the_version_of_a_clone_has_its_commit_and_uncommitted_changes(clone: Path) -> None:
    sha = git(clone, "rev-parse", "HEAD")
    assert (commit_sha(clone), code_version(clone)) == (sha, f"{OWN}+g{sha[:12]}")
    (clone / "untracked").write_text("b")
    assert code_version(clone) == f"{OWN}+g{sha[:12]}"
    (clone / "a.yaml").write_text("b")
    assert code_version(clone) == f"{OWN}+g{sha[:12]}.dirty"


def test_the_version_of_a_clone_writes_nothing_in_it(clone: Path) -> None:
    os.utime(clone / "a.yaml", (1, 1))  # Git would note that the content is the same
    before = (clone / ".git" / "index").stat()
    assert not code_version(clone).endswith(".dirty")
    after = (clone / ".git" / "index").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_outside_of_a_clone_it_is_that_of_the_package_or_of_the_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.setenv(COMMIT, "")
    assert (commit_sha(tmp_path), code_version(tmp_path), code_version(None)) == (None, OWN, OWN)
    monkeypatch.setenv(COMMIT, "f" * 40)
    assert code_version(tmp_path) == f"{OWN}+g{'f' * 12}"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert code_version(tmp_path) == f"{OWN}+g{'f' * 12}", "without Git"


def test_an_empty_repository_and_no_folder_have_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(COMMIT, raising=False)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    git(tmp_path, "init", "--quiet")
    assert code_version(tmp_path) == code_version(tmp_path / "none") == OWN


@pytest.fixture
def installed(clone: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A module of the package that lies in a clone."""
    file = clone / "versions.py"
    file.write_text("")
    monkeypatch.setattr("pareta_batch.versions.__file__", str(file))
    running_version.cache_clear()
    yield file
    running_version.cache_clear()


def test_the_running_code_has_the_commit_of_its_own_clone_only(
    installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert running_version() == OWN, "an installed package in the folder of another project"
    monkeypatch.setenv(COMMIT, "f" * 40)
    running_version.cache_clear()
    assert running_version() == f"{OWN}+g{'f' * 12}"
    git(installed.parent, "add", ".")
    git(installed.parent, "commit", "--quiet", "--message", "second")
    running_version.cache_clear()
    assert running_version() == f"{OWN}+g{git(installed.parent, 'rev-parse', 'HEAD')[:12]}"
