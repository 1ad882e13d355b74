"""Fan-out: a bound, a stop, and exceptions that wait for everybody."""

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pareta_batch.engine.worker_pool import WorkerSlots, fan_out, gather_settled


async def test_never_more_at_once_than_workers_and_everything_is_done() -> None:
    at_once = highest = 0
    done: list[int] = []

    async def work(item: int) -> None:
        nonlocal at_once, highest
        at_once += 1
        highest = max(highest, at_once)
        await asyncio.sleep(0)
        at_once -= 1
        done.append(item)

    await fan_out(range(50), work, workers=7)
    assert highest == 7
    assert sorted(done) == list(range(50))


async def test_after_the_stop_nothing_new_starts_and_what_runs_is_finished() -> None:
    stopped = False
    started: list[int] = []
    finished: list[int] = []

    async def work(item: int) -> None:
        nonlocal stopped
        started.append(item)
        await asyncio.sleep(0)
        stopped = stopped or item == 3
        await asyncio.sleep(0)
        finished.append(item)

    await fan_out(range(100), work, workers=4, stopped=lambda: stopped)
    assert started == finished == [0, 1, 2, 3]


async def test_the_first_exception_is_raised_once_every_worker_has_ended() -> None:
    finished: list[int] = []

    async def work(item: int) -> None:
        await asyncio.sleep(0)
        if item == 1:
            raise ValueError("first")
        await asyncio.sleep(0)
        finished.append(item)
        if item == 0:
            raise ValueError("second")

    with pytest.raises(ValueError, match="first"):
        await fan_out(range(100), work, workers=3)
    assert finished == [0, 2]


async def test_an_exception_of_the_items_is_not_swallowed() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise LookupError("no more rows")

    async def work(item: int) -> None:
        await asyncio.sleep(0)

    with pytest.raises(LookupError):
        await fan_out(items(), work, workers=2)


async def test_cancelling_it_cancels_the_work() -> None:
    cancelled: list[int] = []

    async def work(item: int) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(item)
            raise

    running = asyncio.create_task(fan_out(range(10), work, workers=2))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert cancelled == [0, 1]


async def test_both_ends_are_awaited_before_either_failure_is_raised() -> None:
    ended: list[str] = []

    async def fails() -> None:
        raise ValueError("one")

    async def if_transient() -> None:
        await asyncio.sleep(0)
        ended.append("other")

    with pytest.raises(ValueError, match="one"):
        await gather_settled(fails(), if_transient())
    assert ended == ["other"]


@given(st.lists(st.integers(1, 6), min_size=1, max_size=5))
def test_the_slots_of_a_pool_follow_their_number(sizes: list[int]) -> None:
    async def used(slots: WorkerSlots, most: int) -> int:
        """Return the most slots that were held at once by more workers than there are slots."""
        held = highest = 0

        async def hold() -> None:
            nonlocal held, highest
            async with slots:
                held += 1
                highest = max(highest, held)
                await asyncio.sleep(0)
                held -= 1

        await asyncio.gather(*(hold() for _ in range(2 * most)))
        return highest

    async def follow() -> None:
        slots = WorkerSlots(3)
        for size in sizes:
            slots.resize(size)
            await used(slots, 12)  # slots that are withdrawn as they are released
            assert await used(slots, 12) == size

    asyncio.run(follow())
