"""What the project says of itself, in one place each."""

import ast
import re
import sys
import tomllib
from importlib.metadata import distribution, packages_distributions
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import pareta_client
from tests.packaging.environments import PROJECT, normalized

PYPROJECT = tomllib.loads((PROJECT / "pyproject.toml").read_text())
PACKAGES: list[str] = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]
UNDECLARED = {"opentelemetry", "pydantic_core", "pytest"}
"""Modules of a plugin, of optional tracing, and the half of pydantic that has its version."""


def test_the_version_stands_in_one_place() -> None:
    assert distribution("pareta-pipelines").version == pareta_client.__version__
    released = re.findall(r"^## \[(\d\S*)\]", (PROJECT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert released[0] == pareta_client.__version__


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_is_typed(package: str) -> None:
    assert (PROJECT / package / "py.typed").is_file()


def test_the_licence_is_named_and_enclosed() -> None:
    metadata = distribution("pareta-pipelines").metadata
    assert metadata["License-Expression"] == "Apache-2.0"
    assert "Apache License" in (PROJECT / "LICENSE").read_text()


def test_every_import_is_a_declared_dependency() -> None:
    project = PYPROJECT["project"]
    extras = chain.from_iterable(project["optional-dependencies"].values())
    declared = {normalized(Requirement(text).name) for text in (*project["dependencies"], *extras)}
    owners = packages_distributions()
    missing = {
        f"{name} in {path.relative_to(PROJECT)}"
        for package in PACKAGES
        for path in (PROJECT / package).rglob("*.py")
        for name in imported(path)
        if not declared & {normalized(owner) for owner in owners.get(name, (name,))}
    }
    assert not missing


def imported(path: Path) -> set[str]:
    """Return the top-level names of the third-party modules that a file imports."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names - sys.stdlib_module_names - set(PACKAGES) - UNDECLARED
