"""Python's collector while rows are sent, and after."""

import gc
from collections.abc import Iterator

import pytest

from pareta_batch.engine.gc_tuning import GC_THRESHOLDS, relaxed_gc
from tests.frozen import unfrozen


@pytest.fixture(scope="module", autouse=True)
def _unfrozen() -> Iterator[None]:
    with unfrozen():
        yield


def test_what_was_there_before_is_not_walked_while_the_body_runs() -> None:
    with relaxed_gc():
        assert gc.get_freeze_count() > 1_000
        assert gc.get_threshold() == GC_THRESHOLDS
    assert gc.get_freeze_count() == 0


def test_the_last_to_leave_finds_what_the_first_one_came_to() -> None:
    before = gc.get_threshold()
    first, second = relaxed_gc(), relaxed_gc()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert gc.get_freeze_count() > 0
    assert gc.get_threshold() == GC_THRESHOLDS
    second.__exit__(None, None, None)
    assert gc.get_freeze_count() == 0
    assert gc.get_threshold() == before


def test_cycles_made_inside_are_still_collected() -> None:
    class Node:
        alive = 0

        def __init__(self) -> None:
            self.self = self
            Node.alive += 1

        def __del__(self) -> None:
            Node.alive -= 1

    with relaxed_gc():
        for _ in range(3 * GC_THRESHOLDS[0]):
            Node()
        assert Node.alive < 2 * GC_THRESHOLDS[0]
