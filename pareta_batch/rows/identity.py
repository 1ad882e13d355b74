"""Identity of work: keys that are the same for the same work in every process."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from pareta_client import ParetaError

VERSION = "pareta-batch/1"

Message = dict[str, Any]
"""A message of the request: role, content, and further fields of the service (any JSON value)."""


def row_key(row: Mapping[str, object], id_column: str | None) -> str:
    """Return the row's key: the value of its id column, else a hash of all values."""
    if id_column is not None:
        return str(row[id_column])
    return "row-" + digest(dict(row))[:32]


def fingerprint(model: str, messages: Sequence[Message], sampling: Mapping[str, Any]) -> str:
    """Return a hash of the inputs of an answer: model, messages and sampling, without transport options."""
    return digest({"model": model, "messages": list(messages), "sampling": dict(sampling)})


def idempotency_key(batch: str, key: str, work: str) -> str:
    """Return the idempotency key of a row, from batch name, row key and fingerprint."""
    return "pb1-" + digest([VERSION, batch, key, work])


def digest(value: object) -> str:
    """Return the SHA-256 digest, in hex, of a JSON value in canonical form."""
    canonical = json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()


class Identified(Protocol):
    """A record of the service with an id, which the service may omit."""

    @property
    def id(self) -> str | None: ...


def id_of(record: Identified) -> str:
    """Return the id of a record; raises ParetaError without one, because it could not be found again."""
    if not record.id:
        raise ParetaError(f"the service returned no id for {record!r}")
    return record.id
