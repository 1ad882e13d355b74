"""A bounded pool of workers over a stream of items, which can be stopped."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar, cast

Item = TypeVar("Item")
Other = TypeVar("Other")


async def fan_out(
    items: Iterable[Item],
    work: Callable[[Item], Awaitable[None]],
    *,
    workers: int,
    stopped: Callable[[], bool] = lambda: False,
) -> None:
    """Run `work` on every item, with a bounded number of workers.

    Once `stopped` returns true, running work is finished and no item is started. The first exception of `work` is
    raised after every worker has ended.
    """
    queue = iter(items)
    broken: list[BaseException] = []

    async def pull() -> None:
        # A gather over all items would start them all, cannot be stopped, and is quadratic in its waiters.
        while not broken and not stopped():
            try:
                await work(next(queue))
            except StopIteration:
                return
            except BaseException as error:
                broken.append(error)
                raise

    await asyncio.gather(*(pull() for _ in range(workers)), return_exceptions=True)
    if broken:
        raise broken[0]


class WorkerSlots(asyncio.Semaphore):
    """Slots of a worker pool; after `resize` to fewer, released slots are withdrawn until their number fits."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self._size = size
        self._excess = 0

    def resize(self, size: int) -> None:
        """Set the number of slots; on the event loop only."""
        self._excess -= size - self._size
        self._size = size
        while self._excess < 0:
            self._excess += 1
            super().release()

    def release(self) -> None:
        """Release a slot, or withdraw it."""
        if self._excess > 0:
            self._excess -= 1
        else:
            super().release()


async def gather_settled(one: Awaitable[Item], other: Awaitable[Other]) -> tuple[Item, Other]:
    """Await two awaitables concurrently until both have ended, then return both results or raise the first error."""
    # A plain gather raises at once and leaves the other awaitable running.
    results = await asyncio.gather(one, other, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return cast(tuple[Item, Other], tuple(results))
