"""Environments with a wheel of this project and chosen dependencies, made without the network."""

import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, distribution
from pathlib import Path
from types import MappingProxyType

from packaging.requirements import Requirement

PROJECT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Environment:
    """A virtual environment."""

    path: Path

    @property
    def site_packages(self) -> Path:
        """Return the folder of the installed packages."""
        (folder,) = self.path.glob("lib/python*/site-packages")
        return folder

    def run(
        self,
        program: str,
        *arguments: str,
        folder: Path,
        timeout_s: float = 60,
        variables: Mapping[str, str] = MappingProxyType({}),
    ) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment in a folder, without the variables of the tests' own environment."""
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        return subprocess.run(
            [str(self.path / "bin" / program), *arguments],
            cwd=folder,
            env=kept | {"HOME": str(self.path), "PREFECT_HOME": str(self.path / "prefect")} | dict(variables),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def python(self, code: str, *, folder: Path, **variables: str) -> str:
        """Run Python code in a folder and return its output; its failure is a failure of the test."""
        done = self.run("python", "-c", code, folder=folder, variables=variables)
        assert done.returncode == 0, done.stderr
        return done.stdout


def build(kind: str, folder: Path, source: Path = PROJECT) -> Path:
    """Build a wheel or an sdist of a source folder, and return its path."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", kind, "--directory", str(folder)]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    (built,) = folder.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return built


def install(wheel: Path, path: Path, dependencies: Iterable[str]) -> Environment:
    """Make an environment with a wheel and links to the installed dependencies, with theirs, and nothing else."""
    uv = [str(Path(sys.executable).with_name("uv")), "--quiet", "--offline", "--no-config"]
    subprocess.run([*uv, "venv", "--python", sys.executable, str(path)], check=True)
    subprocess.run([*uv, "pip", "install", "--no-deps", "--python", str(path), str(wheel)], check=True)
    environment = Environment(path)
    for name in sorted(closure(dependencies)):
        _link(distribution(name), environment.site_packages)
    return environment


def runtime_dependencies() -> list[str]:
    """Return the names of the packages that the wheel requires, without those of its extras."""
    return list(_requirements(distribution("pareta-pipelines"), extras=()))


def closure(names: Iterable[str]) -> set[str]:
    """Return the requirements (names, or names with extras) with everything that they require."""
    found: dict[str, set[str]] = {}
    waiting = [Requirement(name) for name in names]
    while waiting:
        wanted = waiting.pop()
        name, extras = normalized(wanted.name), wanted.extras
        if name in found and extras <= found[name]:
            continue
        found[name] = found.get(name, set()) | extras
        waiting += map(Requirement, _requirements(distribution(name), extras=found[name]))
    return set(found)


def normalized(name: str) -> str:
    """Return the name of a distribution in its normal form."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _requirements(of: Distribution, extras: Iterable[str]) -> Iterable[str]:
    for text in of.requires or ():
        requirement = Requirement(text)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            options = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
            yield f"{requirement.name}{options}"


def _link(installed: Distribution, folder: Path) -> None:
    for top in {file.parts[0] for file in installed.files or () if file.parts[0] not in ("..", "__pycache__")}:
        link, target = folder / top, Path(str(installed.locate_file(top)))
        if not link.exists() and target.exists():
            link.symlink_to(target)
