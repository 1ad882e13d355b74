"""Three-way merge of a deployment: the file now, what the last set-up wrote, the server now.

A person's change on the server is kept: a value that differs from what the last set-up found in the file.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

Path = tuple[str, ...]
State = Mapping[Path, Any]
"""JSON values by path, as in `("schedules", "nights", "active")`. An object is a set of paths, a list is a value."""
Record = Mapping[str, str]
"""Digests of the values that the last set-up found in the file, by the digest of the path."""

DIGEST_CHARS = 8
"""Characters of a digest. Raising it makes records longer: a variable of Prefect holds 5,000 characters."""


class Nothing(Enum):
    """The value of a path that a state does not have."""

    NOTHING = "nothing"


NOTHING = Nothing.NOTHING


@dataclass(frozen=True)
class Kept:
    """A value of the server that differs from the file and is kept."""

    path: Path
    on_server: Any  # a JSON value, or NOTHING
    in_file: Any

    def __str__(self) -> str:
        return f"{' '.join(self.path)}: {_shown(self.on_server)} on the server, {_shown(self.in_file)} in the file"


def merge(wanted: State, found: State, record: Record, *, reset: bool) -> tuple[dict[Path, Any], tuple[Kept, ...]]:
    """Return the state to have on the server, and the values that are kept although the file differs.

    Args:
        wanted: State in the file.
        found: State on the server; empty if it has no such deployment.
        record: Record of the last set-up; empty without one.
        reset: Make the server as the file, and undo what a person changed.
    """
    kept = []
    merged = {}
    for path in sorted({*wanted, *found}):
        here, there = wanted.get(path, NOTHING), found.get(path, NOTHING)
        value = there
        if here == there or reset or not _changed_by_a_person(path, there, record):
            value = here
        else:
            kept.append(Kept(path, there, here))
        if value is not NOTHING:
            merged[path] = value
    return merged, tuple(kept)


def record_of(state: State) -> dict[str, str]:
    """Return the record of a file's state."""
    return {_digest(path): _digest(value) for path, value in state.items()}


def without(paths: Sequence[Path], record: Record, found: State) -> tuple[dict[str, str], dict[Path, Any]]:
    """Return a record and a state of the server without these paths: the file sets them, as in a first set-up."""
    digests = [_digest(path) for path in paths]
    return (
        {digest: value for digest, value in record.items() if digest not in digests},
        {path: value for path, value in found.items() if path not in paths},
    )


def flat(value: Any, path: Path = ()) -> dict[Path, Any]:  # JSON
    """Return a JSON value as a state: objects are split at every depth, an empty object is a value."""
    if not isinstance(value, Mapping) or not value:
        return {path: value}
    return {at: leaf for name, inner in value.items() for at, leaf in flat(inner, (*path, str(name))).items()}


def nested(state: State, under: Path) -> Any:  # JSON
    """Return the JSON value of the paths under a path; NOTHING if no such path exists."""
    parts = sorted((path[len(under) :], value) for path, value in state.items() if path[: len(under)] == under)
    if not parts:
        return NOTHING
    if parts[0][0] == () and not isinstance(parts[0][1], dict):
        return parts[0][1]
    whole: dict[str, Any] = {}
    for path, value in parts:
        _put(whole, path, value)
    return whole


def _put(whole: dict[str, Any], path: Path, value: Any) -> None:
    for name in path[:-1]:
        # A value that is no object stands above: it wins over what is below it.
        if not isinstance(inner := whole.setdefault(name, {}), dict):
            return
        whole = inner
    if path:
        whole[path[-1]] = dict(value) if isinstance(value, dict) else value


def _changed_by_a_person(path: Path, there: Any, record: Record) -> bool:
    recorded = record.get(_digest(path))
    if recorded is None:
        # Unknown to the last set-up: a new value of the file, or a value that a person added.
        return there is not NOTHING
    return there is NOTHING or _digest(there) != recorded


def _digest(value: Any) -> str:  # JSON, or a path
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:DIGEST_CHARS]


def _shown(value: Any) -> str:
    text = value.value if isinstance(value, Nothing) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_VALUE_CHARS else f"{text[:MAX_VALUE_CHARS]}…"


MAX_VALUE_CHARS = 60
"""Characters of a value in a message. Raising it makes messages longer."""
