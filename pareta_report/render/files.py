"""Files that reports are written to: whole or not at all, and never over a file of somebody else."""

import json
import secrets
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

MARK = '<meta name="generator" content="pareta-pipelines">'
"""What a page has in its head, by which it is known again."""

EARLIER_MARK = "default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-"
"""The content policy of pages that are older than the mark."""

PLOT_CREATOR = "pareta-pipelines"
"""The creator in the metadata of an SVG plot."""

EARLIER_PLOT = 'viewBox="0 0 604.8 302.4"'
"""The size of plots that are older than the creator."""

HEAD_CHARS = 2_000
"""Characters of a file in which a mark is looked for: a page's head, and nothing of what it shows."""

COLUMNS_BEGIN = "comparison,task,status,verdict,"


def exports_of(page: Path) -> tuple[Path, Path]:
    """Return the files beside a page that hold its comparisons, as JSON and as CSV."""
    return page.with_suffix(".json"), page.with_suffix(".csv")


def may_replace(path: Path) -> bool:
    """Return whether a path is free, or has a report of ours (HTML, a plot, or comparisons as JSON or CSV)."""
    try:
        if not path.resolve().exists():
            return True
        if not path.is_file():
            return False
        with path.open(encoding="utf-8", errors="replace") as file:
            head = file.read(HEAD_CHARS)
            whole = head + file.read() if path.suffix == ".json" else head
    except (OSError, ValueError, RuntimeError):  # a name that no disk has; symlinks in a circle
        return False
    return not head or _is_page(head) or _is_plot(head) or head.startswith(COLUMNS_BEGIN) or _are_comparisons(whole)


def write_whole(path: Path, text: str) -> Path:
    """Write a file in one step and return its path; a symlink stays, and its target is replaced.

    Raises FileExistsError where a file of somebody else is.
    """
    if not may_replace(path):
        raise FileExistsError(f"{path}: a file that is no report of ours is there; move it, or choose another path")
    target = path.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".pareta-{secrets.token_hex(8)}.part")
    try:
        part.write_text(text, encoding="utf-8", errors="replace")
        with suppress(FileNotFoundError):
            shutil.copymode(target, part)
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
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
