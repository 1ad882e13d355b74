"""SQL selections of a batch's rows: its current rows, and those to send."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import sqlalchemy as sa

from pareta_batch.ledger.schema import rows


@dataclass(frozen=True)
class RowSelection:
    """A selection of rows to send: all without a final outcome, only retryable failures, or some error classes.

    Rows of a named error class are sent again even if their failure was final.
    """

    only_failed: bool = False
    errors: tuple[str, ...] = ()

    def condition(self) -> sa.ColumnElement[bool]:
        """Return the selection as an SQL condition; a copy of another row is never sent."""
        return sa.and_(self._unsettled(), rows.c.copy_of.is_(None))

    def _unsettled(self) -> sa.ColumnElement[bool]:
        if self.errors:
            return sa.and_(rows.c.state == "failed", rows.c.error.in_(self.errors))
        retryable = sa.and_(rows.c.state == "failed", rows.c.retryable)
        return retryable if self.only_failed else sa.or_(rows.c.state == "pending", retryable)


ALL_UNSETTLED = RowSelection()


def current(batch: str | sa.BindParameter[str]) -> tuple[sa.ColumnElement[bool], ...]:
    """Return the SQL conditions for the rows of the batch's current dataset."""
    return (rows.c.batch == batch, rows.c.position.is_not(None))


@cache
def page_of(wanted: RowSelection) -> sa.Select[tuple[Any, ...]]:
    """Return the query for a page of rows to send; cached, because building it takes longer than reading a page."""
    within = (rows.c.position >= sa.bindparam("first"), rows.c.position < sa.bindparam("end"))
    page = remaining(sa.bindparam("batch"), wanted).where(*within).order_by(rows.c.position)
    return page.limit(sa.bindparam("most", type_=sa.Integer))


def remaining(batch: str | sa.BindParameter[str], wanted: RowSelection) -> sa.Select[tuple[Any, ...]]:
    columns = (
        rows.c.position,
        rows.c.key,
        rows.c.fingerprint,
        rows.c.messages,
        rows.c.in_doubt,
        rows.c.options,
        rows.c.turns,
        rows.c.sent_as,
    )
    return sa.select(*columns).where(*current(batch), rows.c.messages.is_not(sa.null()), wanted.condition())
