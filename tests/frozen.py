"""Modules and collected tests, left out of every garbage collection.

They are a million objects that live as long as the process: to traverse them takes 0.3 s at each full collection.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_FREEZE, _UNFREEZE = gc.freeze, gc.unfreeze


def freeze() -> None:
    """Freeze all objects for the whole process: the end of a batch, which would unfreeze them, does nothing."""
    _FREEZE()
    gc.freeze = gc.unfreeze = _do_nothing


def collect() -> None:
    """Collect the garbage of a test, and freeze the objects that it leaves: modules and caches."""
    gc.collect()
    _FREEZE()


@contextmanager
def unfrozen() -> Iterator[None]:
    """Yield with the functions of the collector as they are, and freeze all objects again."""
    gc.freeze, gc.unfreeze = _FREEZE, _UNFREEZE
    try:
        yield
    finally:
        collect()
        freeze()


def _do_nothing() -> None:
    pass
