"""The how-to pages: their commands and options exist, and their specs are valid."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from pareta_batch.spec import Batch
from pareta_cli.app import app
from pareta_cli.spec_kinds import command_for, kind_of

ROOT = Path(__file__).parent.parent
PAGES = [*sorted((ROOT / "docs" / "how-to").glob("*.md")), ROOT / "docs" / "index.md", ROOT / "docs" / "tutorial.md"]
PROGRAM: Any = typer.main.get_command(app)  # Typer does not export the types of Click


def commands_of(page: Path) -> Iterator[list[str]]:
    """Yield the words of each `pareta-pipeline` command of a page, also of those in the text."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    for line in re.findall(r"^pareta-pipeline (.*)$|`pareta-pipeline ([^`]*)`", text, re.MULTILINE):
        yield "".join(line).split()


def blocks_of(page: Path) -> list[dict[str, Any]]:
    return [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_and_option_exists(page: Path) -> None:
    for name, *words in commands_of(page):
        assert name in PROGRAM.commands, name
        known = {option for each in PROGRAM.commands[name].params for option in each.opts}
        options = {word for word in words if word.startswith("--")}
        assert name == "sandbox" or options <= known, f"{name}: {options - known}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_spec_is_valid(page: Path) -> None:
    for spec in blocks_of(page):
        if "deployments" in spec:
            for deployment in spec["deployments"]:
                Batch.model_validate(deployment["parameters"]["batch"])
        elif "name" in spec:
            kind_of(command_for(page, spec)).model_validate(spec)
        else:
            assert spec.keys() <= Batch.model_fields.keys()


def test_the_pages_have_commands_and_specs() -> None:
    assert sum(len(list(commands_of(page))) for page in PAGES) > 30
    assert sum(len(blocks_of(page)) for page in PAGES) >= 5
