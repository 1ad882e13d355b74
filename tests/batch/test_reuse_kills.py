"""kill -9 of a batch with equal rows, at each point at which a request or a copy can be lost."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any, Literal, get_args

import pytest

from pareta_batch.ledger.ledger import Ledger
from pareta_batch.ledger.writes import LedgerWrites
from pareta_batch.run import run_batch
from pareta_batch.spec import Batch
from pareta_client import AsyncPareta
from pareta_sandbox.testing import Sandbox
from tests.batch.batches import batch_in, read_answers, run, until
from tests.batch.processes import running_elsewhere
from tests.batch.test_reuse import texts
from tests.forks import forked
from tests.grids import first_of

ROWS, DISTINCT = 12, 4

Point = Literal["before the claim", "after the claim", "after the reply", "after the outcome", "before the copies"]
POINTS: tuple[Point, ...] = get_args(Point)


def _die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def run_and_die(batch: str, api_key: str, base_url: str, ledger_url: str, point: Point, occasion: int) -> None:
    """Run a batch that kills its process at the n-th time that it comes to a point."""
    write, left = Ledger.write, iter(range(occasion - 1))

    def dying(self: Ledger, batch: str, entries: LedgerWrites) -> None:
        at = {"before the claim": bool(entries.claims), "after the reply": bool(entries.outcomes)}
        after = {"after the claim": bool(entries.claims), "after the outcome": bool(entries.outcomes)}
        if at.get(point) and next(left, None) is None:
            _die()
        write(self, batch, entries)
        if after.get(point) and next(left, None) is None:
            _die()

    Ledger.write = dying  # type: ignore[method-assign]
    if point == "before the copies":
        Ledger.settle_copies = _die  # type: ignore[assignment]
    client = AsyncPareta(api_key=api_key, base_url=base_url)
    asyncio.run(run_batch(Batch.model_validate_json(batch), client, Ledger.open(ledger_url)))


async def completed_once(batch: Batch, sandbox: Sandbox, ledger: Ledger) -> None:
    """Run a batch to its end, and check that each distinct request is debited once and shared."""
    report = await run(batch, sandbox, ledger)
    assert (report.status, report.settled, report.copied) == ("completed", ROWS, ROWS - DISTINCT)
    sandbox.completed(DISTINCT)
    sandbox.debited_once()
    ids: dict[Any, set[str]] = {}
    for row in read_answers(batch):
        ids.setdefault(row["text"], set()).add(row["request_id"])
    assert [len(each) for each in ids.values()] == [1] * DISTINCT
    before = sandbox.books()
    assert (await run(batch, sandbox, ledger)).settled == ROWS
    sandbox.silent_since(before)


@pytest.mark.parametrize("occasion", [pytest.param(1, marks=pytest.mark.long), 3])
@pytest.mark.parametrize("point", first_of(POINTS))
async def test_each_request_of_equal_rows_is_debited_once(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, ledger_url: str, point: Point, occasion: int
) -> None:
    batch = batch_in(tmp_path, texts(ROWS, DISTINCT), max_in_flight=1)
    given = (batch.model_dump_json(), sandbox.api_key, sandbox.base_url, ledger_url, point, occasion)
    with forked(run_and_die, *given) as process:
        await until(lambda: not process.is_alive(), within_s=60)
        assert process.exitcode == -signal.SIGKILL
    await until(lambda: sandbox.books().in_flight == 0)
    await completed_once(batch, sandbox, ledger)


async def test_each_request_of_equal_rows_is_debited_once_when_killed_in_flight(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, ledger_url: str
) -> None:
    sandbox.change(latency_ms=300)
    batch = batch_in(tmp_path, texts(ROWS, DISTINCT), max_in_flight=3)
    with running_elsewhere(batch, sandbox, ledger_url):
        await until(lambda: sandbox.books().in_flight > 0, within_s=60)
    await until(lambda: sandbox.books().in_flight == 0, within_s=30)
    sandbox.change(latency_ms=0)
    await completed_once(batch, sandbox, ledger)


@pytest.mark.parametrize("point", first_of(reversed(POINTS)))
async def test_answers_of_an_earlier_batch_are_taken_over_once(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, ledger_url: str, point: Point
) -> None:
    first = batch_in(tmp_path, texts(2, 2), name="first", output=str(tmp_path / "first.jsonl"))
    await run(first, sandbox, ledger)
    sandbox.completed(2)
    batch = batch_in(tmp_path, texts(ROWS, DISTINCT), max_in_flight=1, reuse={"max_age": "1h"})
    given = (batch.model_dump_json(), sandbox.api_key, sandbox.base_url, ledger_url, point, 1)
    with forked(run_and_die, *given) as process:
        await until(lambda: not process.is_alive(), within_s=60)
        assert process.exitcode == -signal.SIGKILL
    await until(lambda: sandbox.books().in_flight == 0)
    report = await run(batch, sandbox, ledger)
    assert (report.status, report.settled) == ("completed", ROWS)
    sandbox.completed(DISTINCT)
    sandbox.debited_once()
