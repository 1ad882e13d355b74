"""Thresholds of the garbage collector while calls are in flight."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

GC_THRESHOLDS = (10_000, 10, 10)
"""Thresholds of `gc.set_threshold`, in objects; higher collects less often. Rows leave hardly any cycles."""


class GcTuning:
    """The settings of the collector from before each open session; a process has one collector, so one owner."""

    def __init__(self) -> None:
        self._saved: list[tuple[int, int, int]] = []

    @contextmanager
    def relaxed(self) -> Iterator[None]:
        """Collect less often, and only new objects, while the body runs.

        Prefect and its imports are half a million objects. A full collection pauses the process for 0.1 s, and repeated
        ones double the CPU time of a row.
        """
        self._saved.append(gc.get_threshold())
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        try:
            yield
        finally:
            # The last exit restores the thresholds from before the first entry, in any order of exits.
            gc.set_threshold(*self._saved.pop())
            if not self._saved:
                gc.unfreeze()


relaxed_gc = GcTuning().relaxed
