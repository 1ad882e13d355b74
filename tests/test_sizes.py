"""Sizes: a module that a reader can survey, a function that fits on a screen."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.test_words import PACKAGES, ROOT

MAX_MODULE_LINES = 250
MAX_FUNCTION_LINES = 40

MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def too_long(path: Path) -> Iterator[str]:
    """Yield the module and each of its functions that is over its limit, with its lines."""
    source = path.read_text(encoding="utf-8")
    if (lines := len(source.splitlines())) > MAX_MODULE_LINES:
        yield f"{path.relative_to(ROOT)}: {lines} lines"
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or 0) - node.lineno + 1
            if lines > MAX_FUNCTION_LINES:
                yield f"{path.relative_to(ROOT)} {node.name}: {lines} lines"


def test_no_module_is_over_250_lines_and_no_function_over_40() -> None:
    assert [found for path in MODULES for found in too_long(path)] == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("x = 1\n" * 250, 0),
        ("x = 1\n" * 251, 1),
        ("def f():\n" + "    x = 1\n" * 39, 0),
        ("def f():\n" + "    x = 1\n" * 40, 1),
        ("class A:\n    async def f(self):\n" + "        x = 1\n" * 40, 1),
    ],
)
def test_a_longer_one_is_found(source: str, found: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.test_sizes.ROOT", tmp_path)
    (tmp_path / "module.py").write_text(source)
    assert len(list(too_long(tmp_path / "module.py"))) == found
