"""Hooks of the documentation site: reference pages from the code, and links to files that are not part of the site."""

import re
from pathlib import Path, PurePosixPath
from posixpath import normpath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from scripts.site_reference import PAGES

LINK = re.compile(r"\[([^\]]+)\]\(([^)#\s]+)(#[^)\s]+)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    for path, write in PAGES.items():
        files.append(File.generated(config, path, content=write()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Return the page with links to files outside `docs` replaced by their paths."""
    folder = PurePosixPath(page.file.src_uri).parent
    root = Path(config.docs_dir).parent
    return LINK.sub(lambda link: _in_the_site(link, folder, root), markdown)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Return the page with marked ids of tests in tables: the style sheet breaks them, because they are long."""
    return html.replace("<td><code>tests/", '<td><code class="test-id">tests/')


def _in_the_site(link: re.Match[str], folder: PurePosixPath, root: Path) -> str:
    text, target = link.group(1), link.group(2)
    path = normpath(f"docs/{folder}/{target}")
    if "://" in target or not (root / path).exists():
        return link.group()
    if path == "README.md":
        return f"[{text}]({_upwards(folder)}index.md)"
    if path == "docs/decisions":
        return f"[{text}]({_upwards(folder)}reference/decisions.md)"
    if path.startswith("docs/"):
        return link.group()
    return f"`{path}`" if text.strip("`") in (path, PurePosixPath(path).name) else f"{text} (`{path}`)"


def _upwards(folder: PurePosixPath) -> str:
    return "../" * len(folder.parts)
