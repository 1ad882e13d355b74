"""Identity of work: the same work has the same keys, in any process on any day."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from pareta_client import ParetaError

VERSION = "pareta-batch/1"

Message = dict[str, str]


def row_key(row: Mapping[str, object], id_column: str | None) -> str:
    """Identify a row by its id column, else by a hash of all its values."""
    if id_column is not None:
        return str(row[id_column])
    return "row-" + digest(dict(row))[:32]


def fingerprint(model: str, messages: Sequence[Message], sampling: Mapping[str, Any]) -> str:
    """Hash what changes the answer: model, messages and sampling, never transport options."""
    return digest({"model": model, "messages": list(messages), "sampling": dict(sampling)})


def idempotency_key(batch: str, key: str, work: str) -> str:
    """Derive the key that the service debits once, from batch name, row key and fingerprint."""
    return "pb1-" + digest([VERSION, batch, key, work])


def digest(value: object) -> str:
    """Hash a JSON value in its canonical form (SHA-256, hex)."""
    canonical = json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()


class Identified(Protocol):
    """A record of the service that has an id, unless the service left it out."""

    @property
    def id(self) -> str | None: ...


def id_of(record: Identified) -> str:
    """Give the id that the service gave.

    Raises ParetaError when it gave none: what was made can then not be found again.
    """
    if not record.id:
        raise ParetaError(f"the service gave no id for {record!r}")
    return record.id
