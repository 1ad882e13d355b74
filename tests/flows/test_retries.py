"""Task retries follow the one table of verdicts, on a real engine."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, StateDetails
from prefect.task_engine import AsyncTaskRunEngine

import pareta_client
from pareta_batch.errors import BatchBusy, BatchStopped, DatasetError, LedgerError, OutputError, RowsUnanswered
from pareta_client import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    DeployError,
    EndpointNotReadyError,
    EndpointWaitTimeoutError,
    EvalWaitTimeoutError,
    InsufficientCreditsError,
    MalformedReplyError,
    NotFoundError,
    OversizedReplyError,
    ParetaError,
    PermissionDeniedError,
    RateLimitError,
    ScoringUndecidedError,
    UploadError,
)
from tasks.retries import RETRIES

TRIES = 1 + RETRIES["retries"]
JITTER = RETRIES["retry_jitter_factor"] + 0.01

PASSES: list[Exception] = [
    APIConnectionError(),
    APITimeoutError(),
    APIStatusError("boom", status_code=500),
    ConflictError("busy", status_code=409),
    RateLimitError("slow down", status_code=429),
    EndpointNotReadyError("cold", status_code=503),
    MalformedReplyError("not JSON"),
    EvalWaitTimeoutError("run_1", waited=9.0),
    EndpointWaitTimeoutError("ep_1", waited=9.0),
    RowsUnanswered(0, 3, "APITimeoutError", "request timed out"),
]
STAYS: list[Exception] = [
    BadRequestError("bad", status_code=400),
    AuthenticationError("who?", status_code=401),
    InsufficientCreditsError("empty", status_code=402),
    PermissionDeniedError("no", status_code=403),
    NotFoundError("gone", status_code=404),
    DeployError("no hardware"),
    OversizedReplyError("too large"),
    UploadError("refused"),
    ScoringUndecidedError("which?"),
    ParetaError("no key"),
    BatchStopped("InsufficientCreditsError", "empty"),
    BatchBusy("invoices", "process 1"),
    DatasetError(["rows.csv: there is no such file"]),
    OutputError("cannot be written"),
    LedgerError("disk full"),
    ValueError("a bug"),
]


@dataclass
class Tried:
    """How a task that always fails was run: how often, after which waits in seconds, and how it ended."""

    times: int
    waits: list[float]
    state: State[None]


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Put the engine's clock forward instead of waiting; give the waits it would have made."""
    made: list[float] = []
    wait_until_ready = AsyncTaskRunEngine.wait_until_ready

    async def at_once(engine: AsyncTaskRunEngine[Any, Any]) -> None:
        details = engine.state.state_details
        if details.scheduled_time is not None:
            made.append(details.scheduled_time.timestamp() - engine.state.timestamp.timestamp())
            # Validated, so that Prefect makes it a time of its own: some of its versions have a subclass of `datetime`.
            engine.state.state_details = StateDetails.model_validate(
                details.model_dump() | {"scheduled_time": datetime.fromtimestamp(0, UTC)}
            )
        await wait_until_ready(engine)

    monkeypatch.setattr(AsyncTaskRunEngine, "wait_until_ready", at_once)
    return made


async def tried(errors: list[Exception], waits: list[float]) -> dict[str, Tried]:
    """Run a task that always fails, with the retries of every task of ours, for each of the errors."""
    outcomes: dict[str, Tried] = {}
    times = 0

    @task(cache_policy=NO_CACHE, **RETRIES)
    async def fail(number: int) -> None:
        nonlocal times
        times += 1
        raise errors[number]

    @flow
    async def failing() -> None:
        nonlocal times
        for number, error in enumerate(errors):
            times = 0
            waits.clear()
            # Prefect's types forget that a task with return_state is awaited.
            state = await fail(number, return_state=True)  # type: ignore[misc]
            outcomes[type(error).__name__] = Tried(times, list(waits), state)

    await failing()
    return outcomes


async def test_what_may_pass_is_tried_again_after_half_minutes_and_fails_with_its_error_in_the_end(
    prefect_server: None, waits: list[float]
) -> None:
    outcomes = await tried(PASSES, waits)
    assert len(outcomes) == len(PASSES)
    for error, (name, outcome) in zip(PASSES, outcomes.items(), strict=True):
        assert (name, outcome.times) == (type(error).__name__, TRIES)
        assert outcome.waits == [pytest.approx(delay, rel=JITTER) for delay in RETRIES["retry_delay_seconds"]]
        assert (outcome.state.type.value, outcome.state.name) == ("FAILED", "Failed")
        assert name in str(outcome.state.message)


async def test_what_money_a_key_or_a_person_must_mend_is_tried_once_and_at_once_failed(
    prefect_server: None, waits: list[float]
) -> None:
    outcomes = await tried(STAYS, waits)
    assert {name: (outcome.times, outcome.waits) for name, outcome in outcomes.items()} == {
        type(error).__name__: (1, []) for error in STAYS
    }
    assert all(outcome.state.is_failed() and name in str(outcome.state.message) for name, outcome in outcomes.items())


def test_every_error_of_the_client_stands_in_one_of_the_lists() -> None:
    raised = {type(error) for error in PASSES + STAYS}
    named = {getattr(pareta_client, name) for name in dir(pareta_client)}
    errors = {each for each in named if isinstance(each, type) and issubclass(each, ParetaError)}
    bases = {each for each in errors if any(each in other.__bases__ for other in errors)}
    assert errors - raised <= bases


def test_retries_wait_longer_each_time_and_not_all_at_once() -> None:
    delays = RETRIES["retry_delay_seconds"]
    assert delays == sorted(delays)
    assert len(delays) == RETRIES["retries"]
    assert RETRIES["retry_jitter_factor"] > 0


def test_the_condition_is_a_plain_function() -> None:
    # Prefect never calls anything else, and says nothing.
    assert type(RETRIES["retry_condition_fn"]) is type(lambda: None)
    assert not asyncio.iscoroutinefunction(RETRIES["retry_condition_fn"])
