"""Small datasets and batches for the tests."""

import json
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path

from pareta_batch.engine.policy import RetryPolicy
from pareta_batch.engine.session import open_session
from pareta_batch.spec import Batch

failing_at_once = partial(open_session, policy=RetryPolicy(max_transient_failures=1))
"""Opens a session whose rows fail after one transient failure."""


def write_rows(path: Path, rows: Iterable[Mapping[str, object]]) -> str:
    """Write JSON lines and return the path."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def reviews(folder: Path, count: int) -> str:
    """Write a dataset of short reviews."""
    opinions = ("I love it, great", "terrible, I hate it", "it is a box")
    rows = [{"id": f"r{number}", "text": f"{opinions[number % 3]} ({number})"} for number in range(count)]
    return write_rows(folder / "reviews.jsonl", rows)


def batch(folder: Path, count: int = 12, **fields: object) -> Batch:
    """Return a batch over `count` reviews."""
    given = {
        "name": "reviews",
        "model": "auto",
        "dataset": reviews(folder, count),
        "id_column": "id",
        "prompt": "Is this review positive, negative or neutral? Answer with one word.\n\n{text}",
        "shard_size": 5,
        "max_in_flight": 4,
        "output": str(folder / "answers.jsonl"),
    }
    return Batch.model_validate(given | fields)
