"""Fan-out: many things at once, never more than a bound, and a stop that starts nothing new."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

Item = TypeVar("Item")


async def fan_out(
    items: Iterable[Item],
    work: Callable[[Item], Awaitable[None]],
    *,
    workers: int,
    stopped: Callable[[], bool] = lambda: False,
) -> None:
    """Do `work` on every item with a bounded number of workers that pull the next one.

    When `stopped` turns true, work under way is finished and nothing new is started. The first exception that
    `work` raises is raised here, after every worker has ended.
    """
    queue = iter(items)
    broken = False

    async def pull() -> None:
        # A bare gather over all items would start them all, and cannot stop (and is quadratic in its waiters).
        nonlocal broken
        for item in queue:
            if broken or stopped():
                return
            try:
                await work(item)
            except BaseException:
                broken = True
                raise

    ends = await asyncio.gather(*(pull() for _ in range(workers)), return_exceptions=True)
    for end in ends:
        if isinstance(end, BaseException):
            raise end
