"""Without a Prefect API, tasks and flows run in this process: same retries, same outcome, no server."""

import asyncio
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from prefect.client.schemas.objects import State, TaskRun
from prefect.exceptions import ParameterTypeError
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.complete_batch import complete_batch
from flows.outcomes import IncompleteRun
from flows.watch_quality import current_occurrence
from pareta_batch import Ledger, Quote, origin_of
from pareta_sandbox.faults.kinds import Status
from pareta_sandbox.testing import Sandbox
from tasks import RETRIES, task, uses_prefect
from tests.direct import without_a_server
from tests.flows.datasets import batch
from tests.flows.test_retries import JITTER, PASSES, STAYS, TRIES


@pytest.fixture
def no_api() -> Iterator[None]:
    with without_a_server():
        yield


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Record the waits of direct tasks instead of waiting."""
    made: list[float] = []

    async def at_once(seconds: float) -> None:
        made.append(seconds)

    monkeypatch.setattr("tasks.direct.sleep", at_once)
    return made


def failing(error: Exception, calls: list[int], **options: Any) -> Any:
    @task(task_run_name="fail", **options)
    async def fail() -> None:
        calls.append(1)
        raise error

    return fail


@pytest.mark.parametrize("error", PASSES + STAYS, ids=lambda error: type(error).__name__)
async def test_a_direct_task_is_retried_as_a_task_run_is(no_api: None, waits: list[float], error: Exception) -> None:
    calls: list[int] = []
    with pytest.raises(type(error)) as raised:
        await failing(error, calls, **RETRIES)()
    assert raised.value is error
    retried = error in PASSES
    assert len(calls) == (TRIES if retried else 1)
    expected = RETRIES["retry_delay_seconds"] if retried else []
    assert waits == [pytest.approx(delay, rel=JITTER) for delay in expected]


async def test_a_direct_task_without_a_condition_repeats_the_last_delay(no_api: None, waits: list[float]) -> None:
    calls: list[int] = []
    with pytest.raises(ValueError, match="a bug"):
        await failing(ValueError("a bug"), calls, retries=3, retry_delay_seconds=[1, 2])()
    assert (len(calls), waits) == (4, [1, 2, 2])


async def test_an_async_condition_is_awaited(no_api: None, waits: list[float]) -> None:
    seen: list[object] = []

    async def condition(_: object, __: TaskRun, state: State[Any]) -> bool:
        await asyncio.sleep(0)
        seen.append(state.data)
        return len(seen) < 2

    error, calls = ValueError("a bug"), list[int]()
    with pytest.raises(ValueError, match="a bug"):
        await failing(error, calls, retries=5, retry_condition_fn=condition)()
    assert (len(calls), seen, waits) == (2, [error, error], [0.0])


async def test_a_cancelled_direct_task_is_not_retried(no_api: None) -> None:
    calls: list[int] = []
    started = asyncio.Event()

    @task(task_run_name="wait", retries=3)
    async def wait() -> None:
        calls.append(1)
        started.set()
        await asyncio.sleep(60)

    running = asyncio.ensure_future(wait())
    await started.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert len(calls) == 1


async def test_prefect_is_used_exactly_where_an_api_is_configured(no_api: None) -> None:
    assert not uses_prefect()
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        assert uses_prefect()


async def test_a_direct_flow_ends_as_its_flow_run_does(mostly_direct: Sandbox, tmp_path: Path) -> None:
    mostly_direct.inject(Status(status=422, times=1))
    state = await complete_batch(batch(tmp_path), return_state=True)
    assert (state.type.value, state.name) == ("FAILED", "TooManyFailures")
    assert "1 failed" in str(state.message)
    with pytest.raises(IncompleteRun):
        await complete_batch(batch(tmp_path))
    tolerant = batch(tmp_path, tolerated_failures=0.5)
    assert (await complete_batch(tolerant)).settled == 11
    state = await complete_batch(tolerant, return_state=True)
    assert (state.is_completed(), (await state.aresult()).settled) == (True, 11)
    quote: object = await complete_batch(tolerant, dry_run=True)
    assert isinstance(quote, Quote)
    assert (await complete_batch(tolerant, dry_run=True, return_state=True)).name == "Quoted"
    mostly_direct.debited_once()


async def test_a_direct_flow_checks_and_converts_its_parameters(either: Sandbox, tmp_path: Path) -> None:
    given: Any = batch(tmp_path).model_dump()
    assert (await complete_batch(given)).settled == 12
    given["max_in_flight"] = 0
    with pytest.raises(ParameterTypeError, match="max_in_flight"):
        await complete_batch(given)


async def test_a_batch_has_the_same_origin_in_both_modes(either: Sandbox, tmp_path: Path) -> None:
    await complete_batch(batch(tmp_path))
    ledger = Ledger.open()
    assert origin_of("reviews", ledger) == "complete-batch"
    ledger.close()


def test_the_occurrence_of_a_direct_watch_is_the_present_time(no_api: None) -> None:
    assert datetime.fromisoformat(current_occurrence()).tzinfo is not None


async def test_a_suspension_without_an_api_names_what_is_missing(
    direct: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    direct.inject(Status(status=402, skip=2))
    with pytest.raises(IncompleteRun):
        await complete_batch(batch(tmp_path), on_empty_balance="suspend")
    assert "needs a Prefect API" in caplog.text
