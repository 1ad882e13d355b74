"""Tests on a loaded machine: no wait ends early, and no process outlives a test that fails."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
LEAST_S = 30.0
"""Shortest deadline of a wait for something that is expected; a higher one delays only a test that fails."""
WAITS = {"until", "communicate", "run", "check_output", "timeout", "create_connection"}
STARTERS = {"end_to_end/processes.py", "batch/postgres.py"}
"""Modules that end the processes which they start."""


def modules(*words: str) -> Iterator[tuple[str, ast.Module]]:
    """Yield path and syntax tree of each module that has one of the words."""
    for path in sorted(TESTS.rglob("*.py")):
        if any(word in (text := path.read_text(encoding="utf-8")) for word in words):
            yield str(path.relative_to(TESTS)), ast.parse(text)


def calls(tree: ast.AST) -> Iterator[tuple[ast.Call, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield node, ast.unparse(node.func).rsplit(".", 1)[-1]


def deadlines(tree: ast.AST) -> Iterator[tuple[int, float]]:
    """Yield line and seconds of each deadline that is written as a number."""
    for call, name in calls(tree):
        given = [each.value for each in call.keywords if each.arg in ("timeout", "within_s")]
        positional = call.args[:1] if ast.unparse(call.func) == "asyncio.timeout" else []
        for value in (*given, *positional):
            if name in WAITS and isinstance(value, ast.Constant) and isinstance(value.value, int | float):
                yield call.lineno, value.value


def unmanaged(tree: ast.AST) -> Iterator[int]:
    """Yield the line of each process that no `with` ends."""
    managed = {id(item.context_expr) for node in ast.walk(tree) if isinstance(node, ast.With) for item in node.items}
    yield from (call.lineno for call, name in calls(tree) if name == "Popen" and id(call) not in managed)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("until(ready, within_s=5)", [5]),
        ("await until(ready, within_s=60)", [60]),
        ("process.communicate(timeout=3)", [3]),
        ("subprocess.run(['a'], timeout=20)", [20]),
        ("async with asyncio.timeout(5): ...", [5]),
        ("client(timeout=0.1)", []),
    ],
)
def test_deadlines_are_found(line: str, expected: list[float]) -> None:
    tree = ast.parse(line if "async" not in line else f"async def f():\n    {line}")
    assert [seconds for _, seconds in deadlines(tree)] == expected


def test_every_wait_for_something_expected_lasts_half_a_minute() -> None:
    short = [
        f"{path}:{line}: {seconds} s"
        for path, tree in modules("timeout", "within_s")
        for line, seconds in deadlines(tree)
        if seconds < LEAST_S
    ]
    assert short == []


def test_every_process_is_ended_by_a_context_manager() -> None:
    found = [f"{path}:{line}" for path, tree in modules("Popen") if path not in STARTERS for line in unmanaged(tree)]
    assert found == []
