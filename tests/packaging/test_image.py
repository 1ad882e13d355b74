"""The image of a worker: linted, and its steps run in a folder, because few machines of developers have Docker."""

import os
import re
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.packaging.environments import PROJECT

DOCKERFILE = PROJECT / "Dockerfile"
HOME = "/opt/pareta"


def instructions() -> list[tuple[str, str]]:
    """Return the instructions of the Dockerfile with their arguments, comments and line breaks removed."""
    lines = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE)
    whole = re.sub(r"\\\n\s*", "", lines).splitlines()
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in whole if line.strip()]


def in_context(path: Path) -> bool:
    """Check whether .dockerignore leaves a top-level path in the context of the build."""
    kept = [line[1:] for line in (PROJECT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    return any(fnmatch(path.name, pattern) for pattern in kept)


def test_a_linter_finds_nothing_in_the_dockerfile() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    found = subprocess.run([hadolint, "--no-color", DOCKERFILE], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, "")


def test_the_worker_is_not_root_and_has_a_command_of_prefect() -> None:
    steps = instructions()
    assert [user for name, user in steps if name == "USER"] == ["1000"]
    assert any(name == "RUN" and "--uid 1000" in step for name, step in steps)
    assert steps[-1] == ("CMD", '["prefect", "worker", "start", "--pool", "pareta", "--with-healthcheck"]')
    (check,) = [step for name, step in steps if name == "HEALTHCHECK"]
    assert "http://127.0.0.1:8080/health" in check, "the default of PREFECT_WORKER_WEBSERVER_PORT"


def test_the_context_has_what_the_image_needs_and_nothing_private() -> None:
    kept = {path.name for path in PROJECT.iterdir() if in_context(path)}
    assert {"flows", "tasks", "pareta_client", "prefect.yaml", "requirements.lock", "LICENSE"} <= kept
    assert not kept & {".git", ".venv", ".pareta", "tests", "docs", ".env"}


@pytest.mark.long
@pytest.mark.timeout(900)
def test_the_steps_of_the_build_make_a_worker(tmp_path: Path) -> None:
    home = tmp_path / "opt" / "pareta"
    home.mkdir(parents=True)
    base = tmp_path / "bin"
    base.mkdir()
    (base / "python").symlink_to(Path(sys._base_executable))  # type: ignore[attr-defined]  # the Python below .venv
    environment = {**os.environ, "PATH": f"{base}:{os.environ['PATH']}", "PREFECT_HOME": str(tmp_path / "prefect")}
    for name, step in instructions():
        match name:
            case "ENV" if step.startswith("PATH="):
                path = step.split()[0].removeprefix("PATH=").replace(HOME, str(home))
                environment["PATH"] = path.replace("$PATH", environment["PATH"])
            case "COPY" if step == "requirements.lock .":
                shutil.copy(PROJECT / "requirements.lock", home)
            case "COPY" if step == ". .":
                copy_context(home)
            case "RUN" if not step.startswith("useradd"):
                subprocess.run(step.replace(HOME, str(home)), shell=True, cwd=home, env=environment, check=True)
    for command in (
        ("prefect", "worker", "start", "--help"),
        ("pareta-pipeline", "--version"),
        ("python", "-c", f"import flows.run_pipeline as flow; assert flow.__file__.startswith({str(home)!r})"),
        ("pip", "check"),
    ):
        subprocess.run(command, cwd=tmp_path, env=environment, check=True)
    assert not (home / ".venv" / "bin" / "ruff").exists()


def copy_context(home: Path) -> None:
    """Copy what .dockerignore leaves in the context of the build."""
    for path in filter(in_context, PROJECT.iterdir()):
        if path.is_dir():
            shutil.copytree(path, home / path.name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, home)
