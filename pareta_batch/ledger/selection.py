"""Which rows of a batch are meant, in SQL: its current ones, and those of them that are to be sent."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import sqlalchemy as sa

from pareta_batch.ledger.schema import rows


@dataclass(frozen=True)
class RowSelection:
    """Which rows to send: all that have no final outcome, or only failed ones, or only those of some error classes.

    An error class that is named is sent again even if its failure was final.
    """

    only_failed: bool = False
    errors: tuple[str, ...] = ()

    def condition(self) -> sa.ColumnElement[bool]:
        """Say it in SQL."""
        if self.errors:
            return sa.and_(rows.c.state == "failed", rows.c.error.in_(self.errors))
        passing = sa.and_(rows.c.state == "failed", rows.c.retryable)
        return passing if self.only_failed else sa.or_(rows.c.state == "pending", passing)


ALL_UNSETTLED = RowSelection()


def current(batch: str | sa.BindParameter[str]) -> tuple[sa.ColumnElement[bool], ...]:
    """Say in SQL which rows are those of the batch's current dataset."""
    return (rows.c.batch == batch, rows.c.position.is_not(None))


@cache
def page_of(wanted: RowSelection) -> sa.Select[tuple[Any, ...]]:
    """Select a page of what is to be sent; made once, for that takes longer than to read a page."""
    within = (rows.c.position >= sa.bindparam("first"), rows.c.position < sa.bindparam("end"))
    page = remaining(sa.bindparam("batch"), wanted).where(*within).order_by(rows.c.position)
    return page.limit(sa.bindparam("most", type_=sa.Integer))


def remaining(batch: str | sa.BindParameter[str], wanted: RowSelection) -> sa.Select[tuple[Any, ...]]:
    columns = (rows.c.position, rows.c.key, rows.c.fingerprint, rows.c.messages, rows.c.in_doubt)
    return sa.select(*columns).where(*current(batch), rows.c.messages.is_not(sa.null()), wanted.condition())
