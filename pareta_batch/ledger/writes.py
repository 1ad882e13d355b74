"""What a session writes down as it goes: claims, releases and outcomes, a group of each in one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from pareta_batch.errors import LedgerError
from pareta_batch.ledger.outcomes import Outcome
from pareta_batch.ledger.schema import rows
from pareta_batch.ledger.storable import number, storable, whole
from pareta_batch.rows import RowRequest


@dataclass(frozen=True)
class LedgerWrites:
    """A group of entries.

    `claims`: requests about to be sent. `released`: claims of which nothing was sent. `outcomes`: what became of rows.
    """

    claims: Sequence[RowRequest] = ()
    released: Sequence[RowRequest] = ()
    outcomes: Sequence[Outcome] = ()


_IDENTITY = ("key", "fingerprint")
_WRITTEN = [field.name for field in fields(Outcome) if field.name not in (*_IDENTITY, "attempts")]

_BORDER = {"latency_ms": number, "prompt_tokens": whole, "completion_tokens": whole, "billed_micro_usd": whole}
_BILLED = sa.bindparam("billed_micro_usd", type_=sa.BigInteger)

# Made once: SQLAlchemy takes as long to make such a statement anew as SQLite takes to write a small group.
_update = rows.update().where(
    rows.c.batch == sa.bindparam("of_batch"),
    rows.c.key == sa.bindparam("of_key"),
    rows.c.fingerprint == sa.bindparam("of_work"),
    # An answer that is there is never replaced.
    rows.c.state != "settled",
)
_outcome = _update.values(
    {name: sa.bindparam(name) for name in (*_WRITTEN, "updated_at")}
    | {
        "attempts": rows.c.attempts + sa.bindparam("tries"),
        # Receipts of an earlier run, whose row failed, were paid too.
        "billed_micro_usd": sa.func.coalesce(rows.c.billed_micro_usd + _BILLED, rows.c.billed_micro_usd, _BILLED),
    }
)
_CLAIM = _update.values(in_doubt=True)
_RELEASE = _update.values(in_doubt=False)
_SETTLE = _outcome.values(messages=sa.null())
_FAIL = _outcome


def apply_writes(db: sa.Connection, batch: str, entries: LedgerWrites, now: datetime) -> None:
    """Write a group of entries; an answer that is already there is never replaced."""
    settled = [_written(batch, each, now) for each in entries.outcomes if each.state == "settled"]
    failed = [_written(batch, each, now) for each in entries.outcomes if each.state != "settled"]
    for statement, group in (
        (_CLAIM, [_whose(batch, ask) for ask in entries.claims]),
        (_RELEASE, [_whose(batch, ask) for ask in entries.released]),
        (_SETTLE, settled),
        (_FAIL, failed),
    ):
        if not group:
            continue
        written = db.execute(statement, group)
        if statement is _CLAIM and written.rowcount != len(group):
            lost = len(group) - written.rowcount
            raise LedgerError(
                f"batch {batch}: {lost} of {len(group)} rows about to be sent are not in the ledger any more: was a"
                " backup restored over it? Run it again: rows that it does not know are sent again"
            )


def _whose(batch: str, work: RowRequest | Outcome) -> dict[str, Any]:
    return {"of_batch": batch, "of_key": work.key, "of_work": work.fingerprint}


def _written(batch: str, outcome: Outcome, now: datetime) -> dict[str, Any]:
    values = {name: _BORDER.get(name, storable)(getattr(outcome, name)) for name in _WRITTEN}
    return {**_whose(batch, outcome), "updated_at": now, "tries": outcome.attempts, **values}
