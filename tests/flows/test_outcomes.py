"""End states of runs: the table, and the exception that carries the report across processes."""

import ast
import pickle
from collections.abc import Iterator
from pathlib import Path

import cloudpickle  # type: ignore[import-untyped]
import pytest
from prefect import flow
from prefect.client.schemas.objects import State

import pareta_batch
from flows.outcome_table import END_STATES, OTHER, ExitStatus, StopReason, end_state
from flows.outcomes import IncompleteRun, finish, named_outcome
from pareta_batch.errors import (
    BatchError,
    BatchStopped,
    DatasetError,
    LedgerError,
    ModelsUnknown,
    RowsUnanswered,
    stop_reason,
)
from pareta_batch.report import BatchReport
from pareta_client import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    EndpointWaitTimeoutError,
    InsufficientCreditsError,
    NotFoundError,
    ParetaError,
    Verdict,
    error_class,
    verdict_of,
)
from tests.flows.test_retries import PASSES, STAYS


class MissingThing(NotFoundError):
    """A subclass that the table does not name."""


STOP = BatchStopped("InsufficientCreditsError", "out of credit")


def report(*, stop: BatchStopped | None = None, failed: int = 0) -> BatchReport:
    """Return a report of eight settled rows, the failed rows, and four open rows after a stop."""
    fields = dict.fromkeys(BatchReport.model_fields, 0)
    given = {
        "name": "reviews",
        "model": "auto",
        "dataset": "reviews.csv",
        "total": 8 + failed + (4 if stop else 0),
        "settled": 8,
        "failed": failed,
        "pending": 4 if stop else 0,
        "errors": {"BadRequestError": failed} if failed else {},
        "flagged": {},
        "stopped": stop.reason if stop else None,
        "stopped_message": stop.message if stop else None,
        "limits": (),
        "this_run": None,
        "output": "answers/reviews.jsonl",
    }
    return BatchReport.model_validate(fields | given)


@pytest.mark.parametrize("pickler", [pickle, cloudpickle])
def test_an_unfinished_run_crosses_processes_with_its_report(pickler: object) -> None:
    unfinished = IncompleteRun(report(stop=STOP), "stopped; top up")
    copy = pickle.loads(getattr(pickler, "dumps")(unfinished))  # noqa: B009
    assert (str(copy), copy.report) == (str(unfinished), unfinished.report)


def test_a_completed_batch_ends_with_its_report() -> None:
    done = report()
    assert finish(done) is done


def test_every_error_of_the_client_and_of_a_batch_has_an_end_state() -> None:
    raised = [error for error in PASSES + STAYS if isinstance(error, (ParetaError, BatchError))]
    # A stop ends under the name of its reason, rows that a shard left are counted as failures.
    missing = [error for error in raised if end_state(error) is OTHER]
    assert {type(error) for error in missing} == {BatchStopped, RowsUnanswered}


def test_every_error_class_has_an_end_state() -> None:
    # What a flow never ends with: the abstract base, and the two that a report replaces.
    internal = {BatchError, BatchStopped, RowsUnanswered}
    classes = {each for base in (ParetaError, BatchError) for each in with_subclasses(base)} - internal
    assert len(classes) > 25
    assert [each.__name__ for each in classes if end_state(each.__name__) is OTHER] == []


def test_every_stop_reason_has_an_end_state() -> None:
    assert [reason for reason in StopReason if reason not in END_STATES] == []


def test_every_reason_that_the_engine_stops_for_has_an_end_state() -> None:
    reasons = {
        call.args[0].value
        for path in Path(pareta_batch.__file__).parent.rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call)
        and ast.unparse(call.func).endswith(("stop", "stop_because", "BatchStopped"))
        and call.args
        and isinstance(call.args[0], ast.Constant)
    }
    assert {"NoReceipts", "ServiceUnreachable", "BudgetReached", "Cancelled", "LedgerError"} <= reasons
    assert [reason for reason in reasons if end_state(str(reason)) is OTHER] == []


def with_subclasses(error: type[Exception]) -> Iterator[type[Exception]]:
    yield error
    for each in error.__subclasses__():
        yield from with_subclasses(each)


@pytest.mark.parametrize("error", [APITimeoutError(), MissingThing("no such endpoint", status_code=404)])
def test_a_subclass_ends_a_run_as_its_base_does(error: ParetaError) -> None:
    base = type(error).__bases__[0]
    assert end_state(error) is END_STATES[base]
    assert end_state(type(error).__name__) is END_STATES[base]


@pytest.mark.parametrize(
    ("ending", "status"),
    [
        (AuthenticationError("no such key", status_code=401), ExitStatus.BAD_INPUT),
        (ModelsUnknown(["wren-9"], ["wren-1"], "the leaderboard"), ExitStatus.BAD_INPUT),
        (LedgerError("no such database"), ExitStatus.BAD_INPUT),
        ("LedgerError", ExitStatus.STOPPED),
        (APIConnectionError(), ExitStatus.STOPPED),
        (APIConnectionError(unreachable=True), ExitStatus.BAD_INPUT),
        ("ServiceUnreachable", ExitStatus.BAD_INPUT),
        (APIStatusError("boom", status_code=500), ExitStatus.STOPPED),
        (APIStatusError("not allowed", status_code=405), ExitStatus.BAD_INPUT),
        (APIStatusError("slow", status_code=408), ExitStatus.STOPPED),
        ("RequestRefused", ExitStatus.BAD_INPUT),
        (InsufficientCreditsError("empty", status_code=402), ExitStatus.STOPPED),
        (StopReason.TOO_MANY_FAILURES, ExitStatus.FAILURES),
        (ZeroDivisionError(), ExitStatus.STOPPED),
        ("ZeroDivisionError", ExitStatus.STOPPED),
    ],
    ids=repr,
)
def test_an_ending_has_one_exit_status(ending: Exception | str, status: ExitStatus) -> None:
    assert end_state(ending).exit_status is status


@pytest.mark.parametrize("status", range(300, 600))
def test_a_batch_that_a_status_stops_ends_as_the_error_of_that_status(status: int) -> None:
    error = error_class(status)("no", status_code=status)
    if verdict_of(error) in (Verdict.FATAL_TO_BATCH, Verdict.OUT_OF_CREDIT, Verdict.RATE_LIMIT):
        assert end_state(stop_reason(error)) is end_state(error)


async def ended(error: Exception, *, retries: int = 0) -> tuple[State[None], int]:
    """Run a flow that always raises the error; return its state and the number of runs."""
    runs = 0

    @flow(retries=retries, retry_delay_seconds=0)
    @named_outcome
    async def failing() -> None:
        nonlocal runs
        runs += 1
        raise error

    return await failing(return_state=True), runs


async def test_a_failure_is_named_and_says_class_request_and_next_step(prefect_server: None) -> None:
    error = AuthenticationError("no such key", status_code=401, request_id="req_7")
    state, _ = await ended(error)
    assert (state.is_failed(), state.name) == (True, "AuthenticationFailed")
    assert state.message == (
        "AuthenticationError: no such key (request req_7); "
        "check PARETA_API_KEY or the credentials block, then run it again"
    )


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (EndpointWaitTimeoutError("ep_1", waited=900.0), "EndpointNeverReady"),
        (DatasetError(["rows.csv: there is no such file"]), "BadDataset"),
        (IncompleteRun(report(stop=BatchStopped("BudgetReached", "no room")), "stopped"), "BudgetReached"),
        (IncompleteRun(report(failed=2), "2 failed"), "TooManyFailures"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
async def test_every_ending_has_a_name(error: Exception, name: str, prefect_server: None) -> None:
    state, _ = await ended(error)
    assert state.name == name


async def test_every_error_that_is_raised_ends_a_run_in_the_state_that_the_table_says(prefect_server: None) -> None:
    raised = [error for error in PASSES + STAYS if end_state(error) is not OTHER]
    assert len(raised) > 20
    for error in raised:
        state, expected = (await ended(error))[0], end_state(error)
        assert (state.is_failed(), state.name) == (True, expected.state)
        assert str(state.message).startswith(f"{type(error).__name__}: ")
        assert str(state.message).endswith(expected.next_step)


async def test_retries_that_cannot_help_are_given_up(prefect_server: None) -> None:
    state, runs = await ended(IncompleteRun(report(stop=STOP), "out of credit"), retries=2)
    assert (state.name, runs) == ("InsufficientCredits", 1)


async def test_retries_that_may_help_are_made_and_the_last_failure_is_named(prefect_server: None) -> None:
    state, runs = await ended(EndpointWaitTimeoutError("ep_1", waited=900.0), retries=1)
    assert (state.name, runs) == ("EndpointNeverReady", 2)


async def test_a_bug_stays_a_plain_failure(prefect_server: None) -> None:
    state, _ = await ended(ZeroDivisionError())
    assert (state.is_failed(), state.name) == (True, "Failed")
