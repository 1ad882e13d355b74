"""Requests and stops reach every member within two seconds: counted in exchanges, and as the sum of the periods."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import pytest

from pareta_batch.engine.control import POLL_INTERVAL_S
from pareta_batch.engine.grouping import IN_GROUPS
from pareta_batch.engine.planning import register_rows
from pareta_batch.ledger.ledger import Ledger
from pareta_batch.members import Lead, Member, lead_members
from pareta_batch.members.desk import MemberDesk, News, Orders
from pareta_batch.members.member import EXCHANGE_INTERVAL_S, WAITING_INTERVAL_S
from pareta_batch.members.run_rows import RunRows
from pareta_sandbox.testing import Sandbox
from tests.batch.batches import batch_in, until
from tests.batch.test_members import ledger, member_of  # noqa: F401 - a fixture

MEMBERS = 3
WITHIN_S = 60

# The periods between a cause and its effect on the last member. A stop is also read with each group of claims.
PERIODS: Mapping[str, Sequence[float]] = {
    "pause and retune by a command": (POLL_INTERVAL_S, EXCHANGE_INTERVAL_S, EXCHANGE_INTERVAL_S),
    "cancel, Ctrl-C and suspend: the parent writes the stop at once": (EXCHANGE_INTERVAL_S,),
    "402 at a member: it writes the stop at once": (EXCHANGE_INTERVAL_S,),
    "budget: demand, decision, stop": (EXCHANGE_INTERVAL_S, EXCHANGE_INTERVAL_S, EXCHANGE_INTERVAL_S),
    "kill -9 of the parent": (EXCHANGE_INTERVAL_S,),
}


@pytest.mark.parametrize("cause", PERIODS)
def test_the_periods_add_up_to_less_than_two_seconds(cause: str) -> None:
    assert sum(PERIODS[cause]) + IN_GROUPS.delay_s < 2, "with the wait of a group of claims"
    assert WAITING_INTERVAL_S <= EXCHANGE_INTERVAL_S


class Looks:
    """The exchanges of each member, and the decisions of the parent that were written, so far."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.count: Counter[str] = Counter()
        exchange, write = MemberDesk.exchange, RunRows.write

        def counted_exchange(desk: MemberDesk, news: News) -> Orders:
            found = exchange(desk, news)
            self.count[desk._held.token] += 1
            return found

        def counted_write(rows: RunRows, *given: object, **named: object) -> None:
            write(rows, *given, **named)  # type: ignore[arg-type]
            self.count["parent"] += 1

        patch.setattr(MemberDesk, "exchange", counted_exchange)
        patch.setattr(RunRows, "write", counted_write)

    async def passed_on(self, ended: Callable[[], bool]) -> None:
        """Wait until a request is in effect at each member, or the run has ended.

        First the parent decides, then the members read it. Both are counted twice: the first may have begun before.
        """
        for of_parent in (True, False):
            least = {who: count + 2 for who, count in self.count.items() if (who == "parent") is of_parent}
            await until(partial(self._reached, least, ended), WITHIN_S)

    def _reached(self, least: Mapping[str, int], ended: Callable[[], bool]) -> bool:
        return ended() or all(self.count[who] >= count for who, count in least.items())


def pause(leading: Lead) -> None:
    leading.apply(paused=True, max_in_flight=None)


def retune(leading: Lead) -> None:
    leading.apply(paused=False, max_in_flight=MEMBERS)


def interrupt(leading: Lead) -> None:
    leading.stop_because("Interrupted", "Ctrl-C")


@pytest.mark.parametrize(
    ("act", "most"),
    [(pause, 0), *(pytest.param(*each, marks=pytest.mark.long) for each in ((interrupt, 0), (retune, MEMBERS)))],
)
async def test_a_request_is_in_effect_at_every_member_one_exchange_after_the_parents(
    tmp_path: Path,
    sandbox: Sandbox,
    ledger: Ledger,  # noqa: F811
    postgres_url: str,
    monkeypatch: pytest.MonkeyPatch,
    act: Callable[[Lead], None],
    most: int,
) -> None:
    looks = Looks(monkeypatch)
    sandbox.change(latency_ms=20)
    batch = batch_in(tmp_path, 3_000, max_in_flight=12)
    register_rows(batch, ledger)

    async def start(every: Sequence[Member]) -> None:
        await asyncio.gather(*(member_of(batch, sandbox, postgres_url, one) for one in every))

    async with lead_members(batch, ledger, MEMBERS) as leading:
        working = asyncio.create_task(leading.work(start))
        await until(lambda: len(looks.count) == 1 + MEMBERS and sandbox.books().completions >= 20, WITHIN_S)
        act(leading)
        await looks.passed_on(working.done)
        # Calls in flight end; no others are sent.
        await until(lambda: sandbox.books().in_flight <= most, WITHIN_S)
        sent, highest = sandbox.books().completions_seen, 0
        round_trip = asyncio.create_task(looks.passed_on(working.done))
        while not round_trip.done():
            highest = max(highest, (await asyncio.to_thread(sandbox.books)).in_flight)
        assert highest <= most
        assert most or sandbox.books().completions_seen == sent
        leading.stop_because("Interrupted", "Ctrl-C")
        await working
    sandbox.debited_once()
