"""The history of a watch: which eval run scored what on which occasion, kept in the ledger."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from pareta_batch import Ledger, digest, quality, quality_scores

Entry = Mapping[str, Any]  # a row of the table


def series_of(watch: str, eval_set_id: str) -> str:
    """Name the series of a watch on one set: other rows begin a new one, they cannot be compared row by row."""
    return digest(["watch/1", watch, eval_set_id])


def save_quality(ledger: Ledger, watch: str, entries: Sequence[Entry]) -> None:
    """Write down what one occasion scored; written again, it stays as it was first."""
    with ledger.transaction() as db:
        known = set(db.scalars(sa.select(quality.c.occasion).where(quality.c.watch == watch)))
        new = [{**entry, "watch": watch} for entry in entries if entry["occasion"] not in known]
        if new:
            db.execute(quality.insert(), new)


def quality_history(ledger: Ledger, watch: str) -> list[dict[str, Any]]:
    """Give all that was written down, the earliest occasion first."""
    columns = [column for column in quality.c if column.name != "watch"]
    query = sa.select(*columns).where(quality.c.watch == watch).order_by(quality.c.occasion, quality.c.model)
    with ledger.transaction() as db:
        return [dict(row) for row in db.execute(query).mappings()]


def remember_scores(ledger: Ledger, watch: str, entries: Sequence[Entry]) -> None:
    """Write the scores of the models of a run, row by row; written again, they stay as they were first."""
    with ledger.transaction() as db:
        known = set(db.scalars(sa.select(quality_scores.c.run_id).where(quality_scores.c.watch == watch)))
        new = [{**entry, "watch": watch} for entry in entries if entry["run_id"] not in known]
        if new:
            db.execute(quality_scores.insert(), new)


def remembered_scores(ledger: Ledger, watch: str) -> list[dict[str, Any]]:
    """Return what `remember_scores` wrote: run, model, rows asked, and the score of every answered row."""
    columns = [column for column in quality_scores.c if column.name != "watch"]
    query = sa.select(*columns).where(quality_scores.c.watch == watch)
    with ledger.transaction() as db:
        return [dict(row) for row in db.execute(query).mappings()]
