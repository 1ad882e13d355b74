"""A session's writes to the ledger: groups of claims, releases and outcomes, each in one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from operator import attrgetter
from typing import Any

import sqlalchemy as sa

from pareta_batch.errors import LedgerError
from pareta_batch.ledger.outcomes import Outcome
from pareta_batch.ledger.schema import rows
from pareta_batch.ledger.shards import uncount_keys
from pareta_batch.ledger.storable import number, storable, whole
from pareta_batch.rows import RowRequest


@dataclass(frozen=True)
class LedgerWrites:
    """A group of writes: claims of requests about to be sent, claims to release, and outcomes."""

    claims: Sequence[RowRequest] = ()
    released: Sequence[RowRequest] = ()
    outcomes: Sequence[Outcome] = ()


_IDENTITY = ("key", "fingerprint")
_WRITTEN = [field.name for field in fields(Outcome) if field.name not in (*_IDENTITY, "attempts")]

_NUMBERS = {"latency_ms": number, "prompt_tokens": whole, "completion_tokens": whole, "billed_micro_usd": whole}
_NUMBERS |= {"asked_again_micro_usd": whole, "turn_bytes": whole, "lost_receipts": whole}
_STORED = [(name, attrgetter(name), _NUMBERS.get(name, storable)) for name in _WRITTEN]
_ADDED = ("billed_micro_usd", "asked_again_micro_usd")
"""Receipts: those of earlier runs and turns are added."""

# Built once: building such a statement takes SQLAlchemy as long as SQLite takes to write a small group.
_update = rows.update().where(
    rows.c.batch == sa.bindparam("of_batch"),
    rows.c.key == sa.bindparam("of_key"),
    rows.c.fingerprint == sa.bindparam("of_work"),
    # An existing answer is never replaced.
    rows.c.state != "settled",
)
_outcome = _update.values(
    {name: sa.bindparam(name) for name in (*_WRITTEN, "updated_at")}
    | {
        "attempts": rows.c.attempts + sa.bindparam("tries"),
    }
    | {
        name: sa.func.coalesce(rows.c[name] + new, rows.c[name], new)
        for name in _ADDED
        for new in [sa.bindparam(name, type_=sa.BigInteger)]
    }
)
_CLAIM = _update.values(in_doubt=True)
_RELEASE = _update.values(in_doubt=False)
_SETTLE = _outcome.values(messages=sa.null())
_FAIL = _outcome


def apply_writes(db: sa.Connection, batch: str, entries: LedgerWrites, now: datetime) -> None:
    """Write a group of entries; an existing answer is never replaced. Raises LedgerError for a missing row."""
    keys = [work.key for works in (entries.claims, entries.released, entries.outcomes) for work in works]
    uncount_keys(db, batch, keys, fenced=bool(entries.claims))
    settled = [_written(batch, each, now) for each in entries.outcomes if each.state == "settled"]
    failed = [_written(batch, each, now) for each in entries.outcomes if each.state != "settled"]
    for statement, group in (
        (_CLAIM, [_identity(batch, request) for request in entries.claims]),
        (_RELEASE, [_identity(batch, request) for request in entries.released]),
        (_SETTLE, settled),
        (_FAIL, failed),
    ):
        if not group:
            continue
        written = db.execute(statement, group)
        if statement is _CLAIM and written.rowcount != len(group):
            lost = len(group) - written.rowcount
            raise LedgerError(
                f"batch {batch}: {lost} of {len(group)} rows about to be sent are no longer in the ledger (was a"
                " backup restored over it?); run it again: rows missing from the ledger are sent again"
            )


def _identity(batch: str, work: RowRequest | Outcome) -> dict[str, Any]:
    return {"of_batch": batch, "of_key": work.key, "of_work": work.fingerprint}


def _written(batch: str, outcome: Outcome, now: datetime) -> dict[str, Any]:
    values: dict[str, Any] = {name: stored(value(outcome)) for name, value, stored in _STORED}
    return {**values, **_identity(batch, outcome), "updated_at": now, "tries": outcome.attempts}
