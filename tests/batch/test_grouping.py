"""Groups of ledger writes: one transaction for several claims and outcomes, which no call waits for."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Literal, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pareta_batch.engine.grouping import AT_ONCE, IN_GROUPS, Grouping
from pareta_batch.ledger import GroupCommit, GroupWait, Ledger, Outcome
from pareta_batch.ledger.group_commit import EntryKind, Writing
from pareta_batch.ledger.writes import LedgerWrites
from pareta_batch.rate_limit.call import Call
from pareta_batch.rate_limit.gate import AdmissionGate
from pareta_batch.rate_limit.limiter import RateLimiter
from pareta_batch.rows import RowRequest

WITHIN_S = 60
NEVER_S = 10_000.0
"""A delay that no test waits for."""


class Transactions:
    """A ledger that keeps the groups that it was given."""

    def __init__(self) -> None:
        self.groups: list[LedgerWrites] = []

    def write(self, batch: str, entries: LedgerWrites) -> None:
        self.groups.append(entries)

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """The claims and outcomes of each group."""
        return [(len(group.claims), len(group.outcomes)) for group in self.groups]


@asynccontextmanager
async def commits(ledger: Transactions, wait: GroupWait) -> AsyncIterator[GroupCommit]:
    """Yield a group commit, which is closed within a deadline."""
    writer = GroupCommit(cast(Ledger, ledger), "test", wait, last_interval_s=0.01)
    try:
        async with asyncio.timeout(WITHIN_S):
            yield writer
    finally:
        lost = await asyncio.wait_for(asyncio.to_thread(writer.close), WITHIN_S)
    assert lost == 0


def request(number: int) -> RowRequest:
    return RowRequest(number, f"{number}", "f", ())


def outcome(number: int) -> Outcome:
    return Outcome(f"{number}", "f", "settled", 1)


def urgent(*kinds: EntryKind) -> Callable[[EntryKind, Writing], bool]:
    return lambda kind, writing: kind in kinds


def never(kind: EntryKind, writing: Writing) -> bool:
    return False


async def test_claims_wait_for_an_urgent_outcome_and_share_its_transaction() -> None:
    ledger = Transactions()
    async with commits(ledger, GroupWait(NEVER_S, urgent("outcome"), joined=True)) as writer:
        claims = [asyncio.create_task(writer.claim(request(number))) for number in range(5)]
        await asyncio.sleep(0)
        assert not ledger.groups
        await writer.settle(outcome(5))
        await asyncio.gather(*claims)
    assert ledger.sizes == [(5, 1)]


@pytest.mark.parametrize(("joined", "sizes"), [(True, [(1, 1)]), (False, [(0, 1), (1, 0)])])
async def test_an_entry_of_the_same_iteration_joins_an_urgent_one(joined: bool, sizes: list[tuple[int, int]]) -> None:
    ledger = Transactions()
    async with commits(ledger, GroupWait(0.01, urgent("outcome"), joined=joined)) as writer:
        settling = asyncio.create_task(writer.settle(outcome(0)))
        claiming = asyncio.create_task(writer.claim(request(1)))
        await asyncio.gather(settling, claiming)
    assert [size for size in ledger.sizes if size != (0, 0)] in (sizes, [(1, 1)])


async def test_entries_are_written_after_the_delay_without_an_urgent_one() -> None:
    ledger = Transactions()
    async with commits(ledger, GroupWait(0.01, never, joined=True)) as writer:
        await asyncio.gather(writer.claim(request(0)), writer.settle(outcome(1)))
    assert ledger.sizes == [(1, 1)]


async def test_a_stream_of_urgent_entries_does_not_postpone_their_group() -> None:
    ledger = Transactions()
    async with commits(ledger, GroupWait(NEVER_S, urgent("outcome"), joined=True)) as writer:
        first = asyncio.create_task(writer.settle(outcome(0)))
        others = []
        while not first.done():
            others.append(asyncio.create_task(writer.settle(outcome(1))))
            await asyncio.sleep(0)
        await asyncio.gather(*others)


async def test_closing_writes_what_waits() -> None:
    ledger = Transactions()
    async with commits(ledger, GroupWait(NEVER_S, never, joined=True)) as writer:
        waiting = asyncio.create_task(writer.settle(outcome(0)))
        await asyncio.sleep(0)
        writer.settle_soon(outcome(1))
    await asyncio.wait_for(waiting, WITHIN_S)
    assert sum(outcomes for _, outcomes in ledger.sizes) == 2


async def test_a_claim_of_a_row_that_is_cancelled_while_it_waits_is_not_written() -> None:
    ledger = Transactions()
    async with commits(ledger, GroupWait(NEVER_S, never, joined=True)) as writer:
        cancelled = asyncio.create_task(writer.claim(request(0)))
        settling = asyncio.create_task(writer.settle(outcome(1)))
        claiming = asyncio.create_task(writer.claim(request(2)))
        await asyncio.sleep(0)
        for task in (cancelled, settling):
            task.cancel()
        await asyncio.wait([cancelled, settling])
    await asyncio.wait_for(claiming, WITHIN_S)
    assert [(group.claims, group.outcomes) for group in ledger.groups] == [([request(2)], [outcome(1)])]


def later() -> Callable[[], float]:
    """Return a clock that moves on by a second with each reading, so that no call waits for its turn."""
    return partial(next, itertools.count(0.0))


Step = Literal["enter", "answer", "settle"]


@given(
    most=st.integers(1, 5),
    grouping=st.sampled_from([AT_ONCE, IN_GROUPS]),
    steps=st.lists(st.sampled_from(["enter", "answer", "settle"]), max_size=60),
)
def test_calls_in_flight_and_answers_that_a_crash_can_lose_are_bounded(
    most: int, grouping: Grouping, steps: list[Step]
) -> None:
    asyncio.run(_walk(most, grouping, steps))


async def _walk(most: int, grouping: Grouping, steps: list[Step]) -> None:
    allowed = None if grouping.holds_calls else grouping.unsettled
    gate, unsettled = AdmissionGate(RateLimiter(most), later(), unsettled=allowed), 0
    entering: list[asyncio.Task[Call | None]] = []
    for step in steps:
        admitted = [task for task in entering if task.done()]
        if step == "enter":
            entering.append(asyncio.create_task(gate.enter()))
        elif step == "answer" and admitted:
            entering.remove(admitted[0])
            call = admitted[0].result()
            assert call is not None
            unsettled += 1
            gate.answered(call)
        elif step == "settle" and unsettled:
            unsettled -= 1
            gate.settled()
        await asyncio.sleep(0)
        assert gate.in_flight <= most
        assert gate.in_flight + unsettled <= most + grouping.unsettled(most)
    gate.close()
    await asyncio.gather(*entering)


@pytest.mark.parametrize(
    ("grouping", "max_in_flight", "ahead", "workers"),
    [
        (AT_ONCE, 1, 1, 2),
        (AT_ONCE, 8, 3, 11),
        (AT_ONCE, 256, 65, 321),
        (IN_GROUPS, 1, 3, 6),
        (IN_GROUPS, 8, 17, 41),
        (IN_GROUPS, 16, 33, 81),
        (IN_GROUPS, 32, 49, 129),
        (IN_GROUPS, 64, 49, 177),
        (IN_GROUPS, 256, 65, 577),
    ],
)
def test_a_session_claims_some_rows_ahead(grouping: Grouping, max_in_flight: int, ahead: int, workers: int) -> None:
    assert grouping.pool_size(max_in_flight) == max_in_flight + ahead
    assert grouping.workers(max_in_flight) == workers


@pytest.mark.parametrize(
    ("most", "waiting", "unsettled", "writing", "short"),
    [
        (1, 1, 0, Writing(), False),
        (1, 0, 0, Writing(), True),
        (1, 0, 0, Writing(claims=1), False),
        (1, 2, 2, Writing(), True),
        (1, 2, 2, Writing(outcomes=1), False),
        (16, 5, 0, Writing(), False),
        (16, 4, 0, Writing(), True),
        (16, 4, 0, Writing(claims=8), False),
        (16, 9, 23, Writing(), False),
        (16, 9, 24, Writing(), True),
        (64, 17, 47, Writing(), False),
        (64, 17, 48, Writing(), True),
    ],
)
async def test_a_group_waits_until_calls_could_wait_for_it(
    most: int, waiting: int, unsettled: int, writing: Writing, short: bool
) -> None:
    gate = AdmissionGate(RateLimiter(most), later(), unsettled=IN_GROUPS.unsettled)
    for _ in range(unsettled):
        call = await gate.enter()
        assert call is not None
        gate.answered(call)
    with gate.paused():
        entering = [asyncio.create_task(gate.enter()) for _ in range(waiting)]
        await asyncio.sleep(0)
        assert gate.is_short(*writing) is short
    gate.close()
    await asyncio.gather(*entering)


@pytest.mark.parametrize(("kind", "at_once"), [("claim", False), ("release", True), ("outcome", True)])
async def test_outcomes_of_a_single_process_are_written_at_once(kind: EntryKind, at_once: bool) -> None:
    gate = AT_ONCE.gate(4)
    assert AT_ONCE.wait(gate).urgent(kind, Writing()) is at_once
