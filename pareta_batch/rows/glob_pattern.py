"""Glob patterns and hive partitions of paths. No I/O."""

import re
from collections.abc import Iterator, Mapping
from itertools import takewhile
from urllib.parse import unquote

NO_VALUE = "__HIVE_DEFAULT_PARTITION__"

_WILDCARDS = re.compile(r"[*?\[]")
_TOKENS = re.compile(r"\*+|\[!?\]?[^\]]*\]|.", re.DOTALL)
_PARTITION = re.compile(r"([^=]+)=(.*)", re.DOTALL)


def has_wildcards(path: str) -> bool:
    """Return whether a path has a wildcard: `*`, `?` or `[`."""
    return _WILDCARDS.search(path) is not None


def fixed_part(pattern: str) -> str:
    """Return the folder above the first wildcard, with its slash; empty if the pattern begins with one."""
    fixed = "/".join(takewhile(lambda part: not has_wildcards(part), pattern.split("/")))
    return f"{fixed}/" if fixed or pattern.startswith("/") else ""


def glob_pattern(pattern: str) -> re.Pattern[str]:
    """Return a glob as a regular expression of whole paths.

    `*`, `?` and `[…]` match within one part of a path, but no leading `.` or `_`; `**` matches any number of folders.
    """
    parts = pattern.removeprefix("./").split("/")
    return re.compile("".join(_translated(parts)), re.DOTALL)


def is_hidden(path: str) -> bool:
    """Return whether a part of a relative path begins with `_` or `.`; a partition may begin with `_`."""
    return any(part.startswith(".") or (part.startswith("_") and "=" not in part) for part in path.split("/"))


def partitions_of(path: str) -> Mapping[str, str | None]:
    """Return the values of the KEY=VALUE folders directly above a file, outermost first."""
    folders = path.split("/")[:-1]
    found = takewhile(bool, (_PARTITION.fullmatch(folder) for folder in reversed(folders)))
    pairs = [(match[1], match[2]) for match in found if match]
    return {unquote(key): None if value == NO_VALUE else unquote(value) for key, value in reversed(pairs)}


def _translated(parts: list[str]) -> Iterator[str]:
    *folders, name = parts
    for folder in folders:
        yield r"(?:(?![._])[^/]+/)*" if folder == "**" else f"{_part(folder)}/"
    yield _part("*" if name == "**" else name)


def _part(part: str) -> str:
    if not has_wildcards(part):
        return re.escape(part)
    hidden = "" if part[0] in "._" else "(?![._])"
    return hidden + "".join(map(_token, _TOKENS.findall(part)))


def _token(token: str) -> str:
    match token:
        case "?":
            return "[^/]"
        case _ if token.startswith("*"):
            return "[^/]*"
        case _ if len(token) > 1:
            inner = token[1:-1].replace("\\", r"\\").replace("[", r"\[")
            return f"[^/{inner[1:]}]" if inner.startswith("!") else f"[{inner}]"
        case _:
            return re.escape(token)
