"""Check of the installed versions against the requirements of this package."""

import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, metadata, requires, version

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from pareta_cli.checks import Check

PACKAGE = "pareta-pipelines"


def check_versions() -> Check:
    """Return whether Python and every required package have a version that the package allows."""
    python = SpecifierSet(metadata(PACKAGE)["Requires-Python"] or "")
    return compared(python, [Requirement(each) for each in requires(PACKAGE) or ()])


def compared(python: SpecifierSet, requirements: Iterable[Requirement]) -> Check:
    """Return whether the versions of Python and of the required packages are within their ranges."""
    problems: list[str] = []
    installs: list[str] = []
    if not python.contains(platform.python_version(), prereleases=True):
        problems.append(f"Python {platform.python_version()}, needed {python}")
    for needed in requirements:
        if needed.marker is not None and not needed.marker.evaluate({"extra": ""}):
            continue
        found = _installed(needed.name)
        if found is None or not needed.specifier.contains(found, prereleases=True):
            problems.append(f"{needed.name} {found or 'is missing'}, needed {needed.specifier or 'in any version'}")
            installs.append(f"'{needed.name}{needed.specifier}'")
    if not problems:
        shown = f"{PACKAGE} {version(PACKAGE)}, prefect {version('prefect')}, Python {platform.python_version()}"
        return Check("versions", True, shown)
    fix = f"pip install {' '.join(installs)}" if installs else f"python3 -m venv .venv  # with Python {python}"
    return Check(
        "versions", False, f"{PACKAGE} {version(PACKAGE)} has requirements that are not met: {'; '.join(problems)}", fix
    )


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
