"""Fan-out: many things at once, never more than a bound, and a stop that starts nothing new."""

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
    """Do `work` on every item with a bounded number of workers that pull the next one.

    When `stopped` turns true, work under way is finished and nothing new is started. The first exception that
    `work` raises is raised here, after every worker has ended.
    """
    queue = iter(items)
    broken: list[BaseException] = []

    async def pull() -> None:
        # A bare gather over all items would start them all, and cannot stop (and is quadratic in its waiters).
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


async def gather_settled(one: Awaitable[Item], other: Awaitable[Other]) -> tuple[Item, Other]:
    """Await two things at once, each to its end; raises the first exception only then."""
    # A gather alone raises at once and leaves the other running behind everybody's back.
    ends = await asyncio.gather(one, other, return_exceptions=True)
    for end in ends:
        if isinstance(end, BaseException):
            raise end
    return cast(tuple[Item, Other], tuple(ends))
