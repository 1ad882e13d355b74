"""Links and paths in the README and the docs: each leads to a file, and a link to a heading of it."""

import re
from pathlib import Path

import pytest

from scripts.site_reference import PAGES as GENERATED

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]

WRITTEN_BY_THE_SITE = {(ROOT / "docs" / path).resolve() for path in GENERATED}

MODULES = [path for top in ROOT.iterdir() if top.is_dir() and top.name[0] != "." for path in top.rglob("*.py")]


def prose(page: Path) -> str:
    return re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if link.startswith(("http://", "https://")):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        if target.resolve() in WRITTEN_BY_THE_SITE:
            continue  # written when the site is built, which checks the anchor
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_module_that_a_page_names_exists(page: Path) -> None:
    for name in re.findall(r"`((?:\w+/)*\w+\.py)(?:::\w+)?`", prose(page)):
        assert any(str(module).endswith(f"/{name}") for module in MODULES), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_table_has_a_header(page: Path) -> None:
    for table in re.findall(r"(?:^\|.*\n)+", prose(page), re.MULTILINE):
        assert re.match(r"\|.*\n\|[-:| ]+\|\n", table), table


def test_the_pages_have_links() -> None:
    assert sum(len(re.findall(r"\]\(", prose(page))) for page in PAGES) > 40
