"""The history of a watch in the ledger: the eval run and the scores of each occurrence."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from pareta_batch import Ledger, digest, quality, quality_scores

Entry = Mapping[str, Any]  # a row of the table


def series_of(watch: str, eval_set_id: str) -> str:
    """Return the key of a watch's series on one eval set; scores on another set cannot be compared row by row."""
    return digest(["watch/1", watch, eval_set_id])


def save_quality(ledger: Ledger, watch: str, entries: Sequence[Entry]) -> None:
    """Save the scores of one occurrence; repeating it changes nothing."""
    with ledger.transaction() as db:
        known = set(db.scalars(sa.select(quality.c.occasion).where(quality.c.watch == watch)))
        new = [{**entry, "watch": watch} for entry in entries if entry["occasion"] not in known]
        if new:
            db.execute(quality.insert(), new)


def quality_history(ledger: Ledger, watch: str) -> list[dict[str, Any]]:
    """Return all saved scores of a watch, ordered by occurrence."""
    columns = [column for column in quality.c if column.name != "watch"]
    query = sa.select(*columns).where(quality.c.watch == watch).order_by(quality.c.occasion, quality.c.model)
    with ledger.transaction() as db:
        return [dict(row) for row in db.execute(query).mappings()]


def save_scores(ledger: Ledger, watch: str, entries: Sequence[Entry]) -> None:
    """Save the row scores of a run's models; repeating it changes nothing."""
    with ledger.transaction() as db:
        known = set(db.scalars(sa.select(quality_scores.c.run_id).where(quality_scores.c.watch == watch)))
        new = [{**entry, "watch": watch} for entry in entries if entry["run_id"] not in known]
        if new:
            db.execute(quality_scores.insert(), new)


def load_scores(ledger: Ledger, watch: str) -> list[dict[str, Any]]:
    """Return the entries that `save_scores` wrote: run, model, number of rows, and the score of each answered row."""
    columns = [column for column in quality_scores.c if column.name != "watch"]
    query = sa.select(*columns).where(quality_scores.c.watch == watch)
    with ledger.transaction() as db:
        return [dict(row) for row in db.execute(query).mappings()]
