"""Several processes that answer blocks of one batch: one limit, one budget, and no row sent twice after a kill."""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from multiprocessing.process import BaseProcess
from typing import Any

import pytest
import sqlalchemy as sa

from pareta_batch import BatchStopped, InvalidOptions, ParetaCompleter
from pareta_batch.ledger import Ledger, add_rows, join_run, open_batch, spent_by_member
from pareta_batch.ledger.run_tables import members
from pareta_batch.members.blocks import free_rows, lead_blocks, take_rows
from pareta_batch.rows import RowRequest
from pareta_sandbox.testing import Sandbox
from tests.batch.batches import answered, failed, until
from tests.batch.test_completer import ASKED, environment, rows  # noqa: F401
from tests.forks import FORKS, forked

FORKS.set_forkserver_preload([__name__, "pareta_client.transport.aiohttp_channel"])

STOPPED = 7
"""Exit status of a process whose batch was stopped."""


class Actors:
    """Processes that answer blocks one after another, as actors of an engine do."""

    def __init__(self, opened: ExitStack, sandbox: Sandbox, url: str) -> None:
        self._opened = opened
        self._given = {
            "PARETA_API_KEY": sandbox.api_key,
            "PARETA_BASE_URL": sandbox.base_url,
            "PARETA_LEDGER_URL": url,
        }

    def start(self, blocks: Sequence[Sequence[int]], **changes: Any) -> BaseProcess:
        numbers = [list(block) for block in blocks]
        return self._opened.enter_context(forked(_answer, {**ASKED, **changes}, self._given, numbers))


def _answer(fields: dict[str, Any], environ: dict[str, str], blocks: list[list[int]]) -> None:
    os.environ.update(environ)
    completer = ParetaCompleter(fields)
    try:
        for block in blocks:
            assert completer(rows(block))["answer"].to_pylist() == ["billing"] * len(block)
    except BatchStopped:
        raise SystemExit(STOPPED) from None


@pytest.fixture
def actors(sandbox: Sandbox, postgres_url: str) -> Iterator[Actors]:
    with ExitStack() as opened:
        yield Actors(opened, sandbox, postgres_url)


@pytest.fixture
def ledger_url(postgres_url: str) -> str:
    return postgres_url


def blocks_of(total: int, size: int) -> list[range]:
    return [range(first, min(first + size, total)) for first in range(0, total, size)]


async def ended(processes: Sequence[BaseProcess]) -> list[int | None]:
    """Wait until all processes have ended, and return their exit statuses."""
    await until(lambda: not any(process.is_alive() for process in processes), within_s=120)
    return [process.exitcode for process in processes]


@pytest.mark.long
async def test_killed_processes_and_other_blocks_pay_no_row_twice(sandbox: Sandbox, actors: Actors) -> None:
    sandbox.change(latency_ms=50)
    blocks = blocks_of(200, 20)
    first = [actors.start(blocks[number::3], max_in_flight=12) for number in range(3)]
    await until(lambda: sandbox.books().completions >= 40, within_s=120)
    for process in first[:2]:  # whichever leads: one of three is left
        process.kill()
    second = [actors.start(blocks_of(200, 33)[number::2], max_in_flight=12) for number in range(2)]
    assert await ended([first[2], *second]) == [0, 0, 0]
    sandbox.completed(200)
    sandbox.debited_once()
    sandbox.never_more_in_flight_than(24)  # the calls of killed processes may still be at the service


@pytest.mark.long
async def test_processes_with_the_same_rows_send_each_once(sandbox: Sandbox, actors: Actors) -> None:
    sandbox.change(latency_ms=30)
    assert await ended([actors.start(blocks_of(60, size), max_in_flight=6) for size in (60, 17, 9)]) == [0, 0, 0]
    assert sandbox.books().completions == 60
    sandbox.never_more_in_flight_than(6)
    sandbox.debited_once()


@pytest.mark.long
async def test_processes_keep_one_budget(sandbox: Sandbox, actors: Actors) -> None:
    sandbox.change(latency_ms=10)
    started = [actors.start(blocks_of(300, 50)[number::3], budget_usd=0.001) for number in range(3)]
    assert STOPPED in await ended(started)
    assert 930 <= sandbox.books().debited_micro_usd <= 1000  # less than the bound of one request is left
    sandbox.debited_once()


@pytest.mark.parametrize(
    "budgets",
    [*(pytest.param(each, marks=pytest.mark.long) for each in ((None, 100.0), (0.0005, None))), (0.0005, 100.0)],
)
def test_two_budgets_of_one_batch_are_refused_while_the_first_is_open(
    sandbox: Sandbox,
    environment: None,  # noqa: F811
    budgets: tuple[float | None, float | None],
) -> None:
    first, second = (ParetaCompleter({**ASKED, "budget_usd": each}) for each in budgets)
    with closing(second):
        with closing(first):
            first(rows(range(2)))
            with pytest.raises(InvalidOptions, match="budget_usd: batch 'blocks' is open with another budget"):
                second(rows(range(100)))
            assert sandbox.books().completions == 2
        assert second(rows(range(100)))["answer"].null_count == 0
    sandbox.debited_once()


@pytest.mark.parametrize(("in_doubt", "kept"), [(False, 5), (True, 1_000)])
async def test_a_dead_process_keeps_its_grant_for_a_request_in_doubt_of_a_freed_row(
    postgres_url: str, in_doubt: bool, kept: int
) -> None:
    batch = ParetaCompleter({**ASKED, "budget_usd": 1})._batch
    with closing(Ledger.open(postgres_url)) as leading, closing(Ledger.open(postgres_url)) as own:
        open_batch(own, batch.name, "asked")
        asks = [RowRequest(n, f"r{n}", f"w{n}", ({"role": "user", "content": "x"},)) for n in range(2)]
        add_rows(own, batch.name, {ask.key: ask for ask in asks})
        async with lead_blocks(batch, leading) as lead:
            with join_run(own, batch.name, lead._rows.run) as held:
                taken = take_rows(own, held, [0, 1])
                assert taken == [0, 1]
                own.record(batch.name, [answered("r0", "w0"), failed("r1", "w1", retryable=True, in_doubt=in_doubt)])
                free_rows(own, held, taken)
                with own.transaction() as db:
                    spent = spent_by_member(db, batch.name, held.token, 1)
            assert lead._funds.kept_of_dead(1_000, *spent, 10) == kept


def working(ledger: Ledger) -> int:
    """Return the number of processes that have sent rows."""
    with ledger.transaction() as db:
        return sum(counts["sent"] > 0 for counts in db.scalars(sa.select(members.c.counts)))


@pytest.mark.long
async def test_an_empty_balance_stops_all_processes(sandbox: Sandbox, actors: Actors, ledger_url: str) -> None:
    sandbox.change(latency_ms=50)
    started = [actors.start([range(number * 500, number * 500 + 500)], max_in_flight=9) for number in range(3)]
    with closing(Ledger.open(ledger_url)) as ledger:
        await until(lambda: working(ledger) == 3, within_s=120)  # one that joins later would be a run of its own
    sandbox.set_balance(0)
    assert await ended(started) == [STOPPED] * 3
    assert sandbox.books().statuses[402] <= 9
