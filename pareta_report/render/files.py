"""Atomic writes of report files, which never replace a file that is not a report."""

import json
from collections.abc import Sequence
from pathlib import Path

from pareta_batch import whole_file

MARK = '<meta name="generator" content="pareta-pipelines">'
"""Tag in the head of a page that identifies it as a report."""

EARLIER_MARK = "default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-"
"""Content policy that identifies pages written before `MARK` existed."""

PLOT_CREATOR = "pareta-pipelines"
"""Creator in the metadata that identifies an SVG plot as a report."""

EARLIER_PLOT = 'viewBox="0 0 604.8 302.4"'
"""Size that identifies plots written before `PLOT_CREATOR` existed."""

HEAD_CHARS = 2_000
"""Characters of a file searched for a mark. Raised: text in the body of a page could match."""

COLUMNS_BEGIN = "comparison,task,status,verdict,"


def exports_of(page: Path) -> tuple[Path, Path]:
    """Return the paths of the JSON and CSV exports of a page, in its folder."""
    return page.with_suffix(".json"), page.with_suffix(".csv")


def may_replace(path: Path) -> bool:
    """Return whether a path is free or holds a report (HTML, a plot, or comparisons as JSON or CSV)."""
    try:
        if _is_free(path):
            return True
        if not path.is_file():
            return False
        with path.open(encoding="utf-8", errors="replace") as file:
            head = file.read(HEAD_CHARS)
            whole = head + file.read() if path.suffix == ".json" else head
    except (OSError, ValueError):  # invalid file name; circular symlinks
        return False
    return not head or _is_page(head) or _is_plot(head) or head.startswith(COLUMNS_BEGIN) or _are_comparisons(whole)


def _is_free(path: Path) -> bool:
    # Not `resolve().exists()`: from Python 3.13 on it hides circular symlinks.
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    return False


def write_whole(path: Path, text: str) -> Path:
    """Write a file atomically and return its path; a symlink is kept and its target replaced.

    Raises FileExistsError if the path holds a file that is not a report.
    """
    if not may_replace(path):
        raise FileExistsError(f"{path}: the existing file is not a report; move it, or choose another path")
    path.resolve().parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as part:
        part.write_text(text, encoding="utf-8", errors="replace")
    return path


def _is_page(head: str) -> bool:
    return head.lower().startswith("<!doctype html>") and (MARK in head or EARLIER_MARK in head)


def _is_plot(head: str) -> bool:
    return "<svg" in head and (f">{PLOT_CREATOR}<" in head or EARLIER_PLOT in head)


def _are_comparisons(text: str) -> bool:
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return (
        isinstance(parsed, Sequence)
        and bool(parsed)
        and all(isinstance(each, dict) and {"name", "status", "scores", "verdict"} <= each.keys() for each in parsed)
    )
