"""The documentation site: it builds with strict links, and its reference pages have every field, command and table."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from pymdownx.superfences import SuperFencesException

import pareta_client
from flows.outcome_table import END_STATES
from pareta_batch.ledger import schema
from pareta_cli.app import COMMANDS
from pareta_cli.spec_kinds import Command, kind_of
from scripts.site_diagrams import PICTURES, diagrams, fence, picture_of
from scripts.site_reference import PAGES, STATUSES
from scripts.site_specs import type_of

ROOT = Path(__file__).parent.parent


def test_every_diagram_has_a_picture_of_its_text_and_no_picture_is_left_over() -> None:
    assert {picture_of(text) for text in diagrams()} == set(PICTURES.glob("*.svg"))


def test_a_diagram_without_a_picture_ends_the_build() -> None:
    with pytest.raises(SuperFencesException, match="missing picture; draw it with"):
        fence("flowchart TD\n  nothing --> like_it", "mermaid", "mermaid", {}, None)
    assert fence(next(diagrams()), "mermaid", "mermaid", {}, None).startswith('<div class="diagram"><svg id="d')


LOADED = re.compile(r"""(?:<(?:script|img|iframe|source)[^>]* src|<link[^>]* href)=["']?(?:https?:)?//[^"' >]+""")


@pytest.mark.long
def test_the_site_builds_with_strict_links(tmp_path: Path) -> None:
    site = tmp_path / "site"
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    for page in PAGES:
        assert (site / page).with_suffix(".html").exists(), page
    for file in site.rglob("*.html"):
        text = file.read_text(encoding="utf-8")
        assert not [link for link in LOADED.findall(text) if 'rel="canonical"' not in link], file
        assert 'class="mermaid"' not in text, file
        assert "<p>|" not in text, f"{file}: rows of a table without its head"
    assert (site / "architecture.html").read_text(encoding="utf-8").count('<div class="diagram"><svg') == 2
    assert 'id="pareta_client.client.AsyncPareta"' in (site / "reference" / "python.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("command", list(Command))
def test_every_field_of_a_spec_has_a_row_with_its_meaning(command: Command) -> None:
    page = PAGES["reference/specs.md"]()
    section = page.partition(f"## `{command}`\n")[2].partition("\n## ")[0]
    for name, field in kind_of(command).model_fields.items():
        (row,) = [line for line in section.splitlines() if line.startswith(f"| `{field.alias or name}` |")]
        assert row.count(" | ") == 3, row
        assert field.description, f"{command}: {name} has no description"


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ({"type": "integer", "minimum": 1, "maximum": 4096}, "whole number from 1 to 4,096"),
        ({"type": "number", "exclusiveMinimum": 0, "maximum": 3600.0}, "number > 0, ≤ 3,600"),
        ({"type": "number", "minimum": 1e-06}, "number ≥ 0.000001"),
        ({"anyOf": [{"type": "string"}, {"$ref": "#/$defs/Source"}]}, "text or [Source](#mapping-source)"),
        ({"type": "array", "items": {"enum": ["a", "b"]}}, 'list of `"a"`, `"b"`'),
        ({"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "null"}]}, "number > 0 or `null`"),
        ({}, "any"),
    ],
)
def test_a_type_is_written_in_words(field: dict[str, object], words: str) -> None:
    assert type_of(field) == words


def test_every_command_has_a_section_with_its_parameters() -> None:
    page = PAGES["reference/commands.md"]()
    for name in (name for commands in COMMANDS.values() for name in commands):
        assert f"\n## {name}\n" in page
    assert "| `--set KEY=VALUE` |" in page


def test_every_end_state_table_and_public_name_is_on_its_page() -> None:
    states, ledger, python = (PAGES[f"reference/{page}.md"]() for page in ("end-states", "ledger", "python"))
    assert all(f"`{end.state}`" in states for end in END_STATES.values())
    assert all(f"\n| {status} |" in states for status in STATUSES)
    assert all(f"\n## {table}\n" in ledger for table in schema.metadata.tables)
    described = re.findall(r"\n## (\w+)\n\n\S.*\n", ledger)
    assert sorted(described) == sorted(schema.metadata.tables), "each table has the comment above it"
    assert all(f"`{column.name}`" in ledger for table in schema.metadata.sorted_tables for column in table.columns)
    listed = {line.rpartition(".")[2] for line in python.splitlines() if line.startswith(":::")}
    assert set(dir(pareta_client)) <= listed


def test_every_page_of_the_docs_is_in_the_navigation() -> None:
    class Loader(yaml.SafeLoader):
        """Loader that ignores the tags of Python objects."""

    Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda *_: None)
    config = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    nav = str(yaml.load(config, Loader)["nav"])
    for page in (ROOT / "docs").rglob("*.md"):
        path = page.relative_to(ROOT / "docs").as_posix()
        assert f"'{path}'" in nav or path.startswith("decisions/"), path
