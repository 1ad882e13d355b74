"""The blocking resources are generated from the asynchronous ones."""

import ast
from pathlib import Path

import pytest

from scripts import unasync


def test_the_generated_files_are_up_to_date() -> None:
    assert unasync.differences() == []


@pytest.mark.parametrize("path", sorted(unasync.TARGET.glob("*.py")), ids=lambda path: path.stem)
def test_nothing_asynchronous_is_left_in_a_generated_file(path: Path) -> None:
    nodes = list(ast.walk(ast.parse(path.read_text())))
    assert not [node for node in nodes if isinstance(node, ast.Await | ast.AsyncFunctionDef | ast.AsyncFor)]
    assert not [node.id for node in nodes if isinstance(node, ast.Name) and node.id.startswith("Async")]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("async def f(): ...\n", "def f(): ...\n"),
        ("x = (await f(await g()))\n", "x = (f(g()))\n"),
        ("async with a() as b: ...\n", "with a() as b: ...\n"),
        ("async for a in b: ...\n", "for a in b: ...\n"),
        ("x = [a async for a in b]\n", "x = [a for a in b]\n"),
        ("class AsyncThing(AsyncBase): ...\n", "class Thing(Base): ...\n"),
        ("AsyncThings = Asyncio = awaited = 1\n", "Things = Asyncio = awaited = 1\n"),
        ("x = 'await AsyncThing'  # await AsyncThing\n", "x = 'await AsyncThing'  # await AsyncThing\n"),
        ('"""\nawait\n"""\nawait f()\n', '"""\nawait\n"""\nf()\n'),
        ("# ruff: noqa: ASYNC109 - why\nx = 1\n", "\nx = 1\n"),
        ("x = 'é', await f('é')\n", "x = 'é', f('é')\n"),
    ],
)
def test_asynchronous_code_becomes_blocking(code: str, expected: str) -> None:
    assert unasync.blocking(code) == expected


@pytest.mark.parametrize("name", ["asyncio.sleep(1)", "anext(x)", "x.aclose()", "x.__aenter__()", "AsyncGenerator"])
def test_a_name_without_a_blocking_form_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"line 2: .* has no blocking form"):
        unasync.blocking(f"\n{name}\n")


def test_check_names_a_stale_and_an_orphaned_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in ("source", "target"):
        (tmp_path / folder).mkdir()
    monkeypatch.setattr(unasync, "ROOT", tmp_path)
    monkeypatch.setattr(unasync, "SOURCE", tmp_path / "source")
    monkeypatch.setattr(unasync, "TARGET", tmp_path / "target")
    (tmp_path / "source" / "a.py").write_text("async def f() -> None: ...\n")
    assert unasync.main([]) == 0
    assert "\ndef f() -> None: ...\n" in (tmp_path / "target" / "a.py").read_text()
    assert unasync.main(["--check"]) == 0
    (tmp_path / "target" / "a.py").write_text("edited by hand\n")
    (tmp_path / "target" / "b.py").write_text("without a source\n")
    assert unasync.main(["--check"]) == 1
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["target/a.py", "target/b.py"]


def test_an_unknown_argument_is_refused() -> None:
    assert unasync.main(["--chek"]) == 2
