"""What a contributor is told: targets of make, hooks before a commit, places that exist."""

import re
import shutil
import subprocess

import pytest
import yaml

from tests.packaging.environments import PROJECT

MAKEFILE = (PROJECT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE))


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_help_lists_every_target() -> None:
    listed = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=PROJECT, capture_output=True, text=True, check=True
    ).stdout
    assert {line.split()[0] for line in listed.splitlines()} == TARGETS
    assert all(len(line.split(maxsplit=1)) == 2 for line in listed.splitlines())


def test_every_target_that_is_no_file_is_phony() -> None:
    (phony,) = re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
    assert set(phony.split()) == TARGETS


def test_the_hooks_before_a_commit_are_the_checks_of_ci() -> None:
    (repository,) = yaml.safe_load((PROJECT / ".pre-commit-config.yaml").read_text())["repos"]
    entries = [hook["entry"] for hook in repository["hooks"]]
    assert entries[0] == "make lint"
    assert re.search(r"^check: lint ", MAKEFILE, re.MULTILINE), "CI runs the same target"
    assert [path for entry in entries for path in entry.split() if path.startswith("tests/")]
    assert all((PROJECT / path).exists() for entry in entries for path in entry.split() if path.startswith("tests/"))


def test_the_page_for_contributors_names_places_and_targets_that_exist() -> None:
    page = (PROJECT / "CONTRIBUTING.md").read_text()
    paths = set(re.findall(r"`((?:pareta_\w+|flows|tasks|tests|\.ci)/[\w./-]*)`", page))
    paths |= set(re.findall(r"pytest .*?(tests/[\w./]+)", page))
    assert len(paths) > 8
    assert [path for path in sorted(paths) if not (PROJECT / path).exists()] == []
    assert set(re.findall(r"make ([a-z]+)", page)) <= TARGETS


@pytest.mark.parametrize("script", ["run", "environment", "prefect-3.8", "newest-python", "postgresql"])
def test_the_scripts_of_ci_are_valid(script: str) -> None:
    subprocess.run(["bash", "-n", PROJECT / ".ci" / script], check=True)
    assert (PROJECT / ".ci" / script).stat().st_mode & 0o100
