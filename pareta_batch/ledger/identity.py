"""The identity of a ledger: a random id in its database, equal for every process that opens the same ledger."""

from uuid import uuid4

import sqlalchemy as sa

from pareta_batch.ledger.database import insert_into
from pareta_batch.ledger.ledger import Ledger
from pareta_batch.ledger.schema import identity

ONLY = 1
"""Primary key of the only row."""


def ledger_id(ledger: Ledger) -> str:
    """Return the id of the ledger; of two concurrent first calls, both return the same."""
    with ledger.transaction() as db:
        wanted = {"number": ONLY, "id": uuid4().hex}
        db.execute(insert_into(db, identity).values(wanted).on_conflict_do_nothing())
        return str(db.scalars(sa.select(identity.c.id)).one())
