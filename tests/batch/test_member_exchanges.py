"""Orders of the parent are applied when they change, and again after a failure."""

import asyncio
from collections.abc import Coroutine, Iterator, Sequence
from itertools import groupby
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from pareta_batch.engine import Session
from pareta_batch.members import member as members
from pareta_batch.members.counts import Counts
from pareta_batch.members.desk import MemberDesk, News, Orders, Present
from pareta_batch.money import BudgetGate

WITHIN_S = 60
Limits = tuple[bool, int]


class Calls:
    """The session of a member that records its limits of calls; `failures` of the first ones raise."""

    stop = None
    batch = SimpleNamespace(name="test")
    gate = SimpleNamespace(in_flight=0)

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.limits: list[Limits] = []

    async def ask(self, work: Coroutine[Any, Any, object]) -> object:
        return await work

    def limit_calls(self, *, paused: bool, max_in_flight: int) -> None:
        self.limits.append((paused, max_in_flight))
        if len(self.limits) <= self.failures:
            raise RuntimeError("the limits cannot be set")


class Desk:
    """A desk with given orders; `read` is set once all of them were read."""

    def __init__(self, orders: Sequence[Orders]) -> None:
        self._orders: Iterator[Orders] = iter(orders)
        self._last = Orders()
        self._loop = asyncio.get_running_loop()
        self.read = asyncio.Event()

    def exchange(self, news: News) -> Orders:
        try:
            self._last = next(self._orders)
        except StopIteration:
            self._loop.call_soon_threadsafe(self.read.set)
        return self._last


def limits_after(orders: Sequence[Orders], failures: int = 0) -> list[Limits]:
    """Return the limits that a member sets when it reads these orders."""

    async def follow() -> list[Limits]:
        calls, desk = Calls(failures), Desk(orders)
        following = asyncio.create_task(
            members._follow(
                cast(Session, calls),
                cast(MemberDesk, desk),
                BudgetGate(None),
                Present(),
                asyncio.Event(),
            )
        )
        async with asyncio.timeout(WITHIN_S):
            await desk.read.wait()
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        return calls.limits

    with patch.object(members, "EXCHANGE_INTERVAL_S", 0), patch.object(Counts, "of", lambda session: Counts()):
        return asyncio.run(follow())


ORDERS = st.builds(Orders, share=st.integers(0, 2), paused=st.booleans())


@given(orders=st.lists(ORDERS, min_size=1, max_size=8))
def test_orders_are_applied_once_for_each_change(orders: list[Orders]) -> None:
    changes = [each for each, _ in groupby(orders)]
    assert limits_after(orders) == [(each.paused or not each.share, max(1, each.share)) for each in changes]


def test_orders_that_could_not_be_applied_are_applied_at_the_next_exchange() -> None:
    assert limits_after([Orders(share=4)] * 4, failures=2) == [(False, 4)] * 3
