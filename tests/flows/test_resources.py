"""What a flow run shares: one of each, for everybody on its event loop."""

import asyncio
import contextvars
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tasks.resources import Shared


class Door:
    """Counts how often it was opened and closed."""

    def __init__(self) -> None:
        self.opened: list[object] = []
        self.closed: list[object] = []

    @asynccontextmanager
    async def open(self) -> AsyncIterator[object]:
        thing = object()
        self.opened.append(thing)
        try:
            yield thing
        finally:
            self.closed.append(thing)


async def test_whoever_comes_first_opens_it_and_the_others_share() -> None:
    door, shared = Door(), Shared[object]("thing")

    async def other() -> object:
        async with shared.use(door.open) as thing:
            return thing

    async with shared.use(door.open) as first:
        assert [await other(), await asyncio.create_task(other())] == [first, first]
        assert door.closed == []
    assert door.opened == door.closed == [first]


async def test_it_is_opened_anew_after_it_was_closed() -> None:
    door, shared = Door(), Shared[object]("thing")
    for _ in range(2):
        async with shared.use(door.open):
            pass
    assert len(door.opened) == len(door.closed) == 2


async def test_a_task_on_another_loop_opens_its_own() -> None:
    door, shared = Door(), Shared[object]("thing")

    async def elsewhere() -> object:
        async with shared.use(door.open) as thing:
            return thing

    async with shared.use(door.open) as here:
        # As Prefect's task runner does: the context is copied into a thread with a loop of its own.
        context = contextvars.copy_context()
        there = await asyncio.to_thread(context.run, asyncio.run, elsewhere())
        assert there is not here
    assert door.closed == [there, here]


async def test_it_is_closed_when_the_body_fails() -> None:
    door, shared = Door(), Shared[object]("thing")
    with pytest.raises(ZeroDivisionError):
        async with shared.use(door.open):
            _ = 1 / 0
    assert len(door.closed) == 1
