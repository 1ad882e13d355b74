"""Owners of the money in the ledger: model and tags of each account, with the time from which they hold."""

from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa

from pareta_batch.ledger.database import insert_into
from pareta_batch.ledger.ledger import Ledger
from pareta_batch.ledger.schema import owners
from pareta_batch.owner_tags import NO_TAGS, Tags

BATCH = "batch/"
"""Prefix of the account of a batch's rows; purchases have the name of their own account."""
ENDPOINT = "endpoint/"
"""Prefix of an endpoint's id: its tags hold for batches on it that have none."""


@dataclass(frozen=True)
class Owner:
    """Model and tags of an account from a time (UTC) on; None for a value that no run has set."""

    since: datetime = datetime.min
    model: str | None = None
    team: str | None = None
    project: str | None = None

    @property
    def is_tagged(self) -> bool:
        """Whether a run has set a tag."""
        return self.team is not None or self.project is not None


NO_OWNER = Owner()


def record_owner(ledger: Ledger, account: str, model: str | None, tags: Tags) -> None:
    """Record model and tags of an account from now on, if they differ from the last ones.

    Earlier dollars keep their owner.
    """
    columns = owners.c.model, owners.c.team, owners.c.project
    last = sa.select(*columns).where(owners.c.account == account).order_by(owners.c.since.desc()).limit(1)
    now = (model, tags.team, tags.project)
    with ledger.transaction() as db:
        found = db.execute(last).first()
    if now == (tuple(found) if found else (None, None, None)):
        return
    values = dict(zip(("model", "team", "project"), now, strict=True))
    # A transaction of its own: SQLite refuses to write in one that has read an older state.
    with ledger.transaction() as db:
        insert = insert_into(db, owners).values(account=account, since=datetime.now(UTC).replace(tzinfo=None), **values)
        db.execute(insert.on_conflict_do_nothing())


def tags_of(ledger: Ledger, account: str) -> Tags:
    """Return the present tags of an account."""
    columns = owners.c.team, owners.c.project
    last = sa.select(*columns).where(owners.c.account == account).order_by(owners.c.since.desc()).limit(1)
    with ledger.transaction() as db:
        found = db.execute(last).first()
    return Tags(team=found.team, project=found.project) if found else NO_TAGS


def owners_by_account(db: sa.Connection) -> dict[str, list[Owner]]:
    """Return the owners of each account, in the order of their time."""
    found: dict[str, list[Owner]] = {}
    columns = owners.c.account, owners.c.since, owners.c.model, owners.c.team, owners.c.project
    for account, *values in db.execute(sa.select(*columns).order_by(owners.c.account, owners.c.since)):
        found.setdefault(account, []).append(Owner(*values))
    return found
