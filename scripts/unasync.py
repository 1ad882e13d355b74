"""Generator of the blocking resources of the client from the asynchronous ones.

`python -m scripts.unasync` writes `pareta_client/resources/_sync`; with `--check` it writes nothing, and exits with 1
if a file differs.
"""

import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESOURCES = ROOT / "pareta_client" / "resources"
SOURCE, TARGET = RESOURCES / "_async", RESOURCES / "_sync"
HEADER = "# Generated from {source} by `python -m scripts.unasync`: edit that file.\n"
_KEYWORDS = ("async", "await")
_ASYNC_NAME = re.compile(r"Async(?=[A-Z])")
_LINT_COMMENT = re.compile(r"# ruff: noqa: ASYNC\d+\b")
_WITHOUT_TWIN = re.compile(r"asyncio|a(iter|next|close)|__a\w+__|Async(Generator|Iterator|Iterable)")


def blocking(code: str) -> str:
    """Return the blocking form of asynchronous code; raise ValueError for a name that has no known blocking form."""
    lines = code.splitlines(keepends=True)
    for start, end, text in reversed(list(_edits(code))):
        line = lines[start[0] - 1]
        lines[start[0] - 1] = line[: start[1]] + text + line[end[1] :]
    return "".join(lines)


def _edits(code: str) -> Iterator[tuple[tuple[int, int], tuple[int, int], str]]:
    """Yield start, end and new text of the tokens to replace; each lies within one line."""
    for token, following in pairwise(tokenize.generate_tokens(io.StringIO(code).readline)):
        if token.type == tokenize.COMMENT and _LINT_COMMENT.match(token.string):
            yield token.start, token.end, ""
        elif token.type == tokenize.NAME and token.string in _KEYWORDS:
            yield token.start, following.start, ""
        elif token.type == tokenize.NAME and _WITHOUT_TWIN.fullmatch(token.string):
            raise ValueError(f"line {token.start[0]}: {token.string!r} has no blocking form here; add a rule for it")
        elif token.type == tokenize.NAME and _ASYNC_NAME.match(token.string):
            yield token.start, token.end, _ASYNC_NAME.sub("", token.string)


def generated(source: Path) -> str:
    """Return the formatted text of the blocking module of an asynchronous one."""
    text = HEADER.format(source=source.relative_to(ROOT).as_posix()) + blocking(source.read_text("utf-8"))
    for command in (["check", "--select", "I,F401", "--fix-only", "--quiet"], ["format", "--quiet"]):
        text = _ruff([*command, "--stdin-filename", str(TARGET / source.name), "-"], text)
    return text


def _ruff(arguments: list[str], text: str) -> str:
    done = subprocess.run(  # noqa: S603 - a fixed program with fixed arguments
        [sys.executable, "-m", "ruff", *arguments], input=text, capture_output=True, text=True, check=True, cwd=ROOT
    )
    return done.stdout


def modules() -> dict[Path, str]:
    """Return the wanted text of every generated file."""
    return {
        TARGET / source.name: generated(source) for source in sorted(SOURCE.glob("*.py")) if source.stem != "__init__"
    }


def differences() -> list[str]:
    """Return the names of generated files that are missing, out of date or without a source."""
    wanted = modules()
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text("utf-8") != text]
    extra = [path for path in TARGET.glob("*.py") if path not in wanted and path.stem != "__init__"]
    return sorted(path.relative_to(ROOT).as_posix() for path in (*stale, *extra))


def main(arguments: list[str]) -> int:
    """Write the generated files, or only compare them with `--check`; return the exit status."""
    if arguments == ["--check"]:
        stale = differences()
        print("".join(f"{name} is out of date; run `python -m scripts.unasync`\n" for name in stale), end="")
        return 1 if stale else 0
    if arguments:
        print(f"unknown arguments {arguments}; use --check or none")
        return 2
    for path, text in modules().items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
