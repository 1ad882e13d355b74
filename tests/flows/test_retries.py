"""Task retries follow the one table of verdicts, on a real engine."""

import asyncio
from collections import Counter

import pytest
from prefect import flow, task
from prefect.cache_policies import NO_CACHE

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
    ParetaError,
    PermissionDeniedError,
    RateLimitError,
    ScoringUndecidedError,
    UploadError,
)
from tasks.retries import RETRIES

TRIES = 1 + RETRIES["retries"]

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


async def tries_until_given_up(errors: list[Exception]) -> dict[str, int]:
    """Run a task that always fails, on the engine, for each of the errors; give how often each was run."""
    tries: Counter[str] = Counter()

    @task(cache_policy=NO_CACHE, **RETRIES | {"retry_delay_seconds": [0.0, 0.0, 0.0]})
    async def fail(number: int) -> None:
        tries[type(errors[number]).__name__] += 1
        raise errors[number]

    @flow
    async def failing() -> None:
        for number in range(len(errors)):
            with pytest.raises(type(errors[number])):
                await fail(number)

    await failing()
    return dict(tries)


async def test_what_may_pass_is_tried_again(prefect_server: None) -> None:
    assert await tries_until_given_up(PASSES) == {type(error).__name__: TRIES for error in PASSES}


async def test_what_money_a_key_or_a_person_must_mend_is_tried_once(prefect_server: None) -> None:
    assert await tries_until_given_up(STAYS) == {type(error).__name__: 1 for error in STAYS}


def test_every_error_of_the_client_stands_in_one_of_the_lists() -> None:
    raised = {type(error) for error in PASSES + STAYS}
    named = {getattr(pareta_client, name) for name in pareta_client.__all__}
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
