"""Garbage collection that stays out of the way of calls in flight."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

GC_THRESHOLDS = (10_000, 10, 10)
"""Rows leave hardly any cycles behind: a collection for every 10,000 new objects keeps memory flat."""

_before: list[tuple[int, int, int]] = []


@contextmanager
def relaxed_gc() -> Iterator[None]:
    """While the body runs, collect rarely, and only among objects that are new.

    Prefect and what it imports are half a million objects: to walk them all, as Python does again and again while
    rows come and go, stops everything for a tenth of a second and doubles the CPU that a row takes.
    """
    _before.append(gc.get_threshold())
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    try:
        yield
    finally:
        # Whoever leaves last finds what was there before the first came, in whatever order they leave.
        gc.set_threshold(*_before.pop())
        if not _before:
            gc.unfreeze()
