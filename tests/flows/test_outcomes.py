"""How runs end: an exception that carries the report, across processes too."""

import pickle

import cloudpickle  # type: ignore[import-untyped]
import pytest
from prefect import flow
from prefect.client.schemas.objects import State

from flows.outcome_table import REASONS
from flows.outcomes import IncompleteRun, end, named_outcome
from pareta_batch.errors import BatchError, BatchStopped, DatasetError
from pareta_batch.report import BatchReport
from pareta_client import AuthenticationError, EndpointWaitTimeoutError, ParetaError
from tests.flows.test_retries import PASSES, STAYS

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
    assert end(done) is done


def test_every_error_of_the_client_and_of_a_batch_has_a_reason() -> None:
    raised = {type(error).__name__ for error in PASSES + STAYS if isinstance(error, (ParetaError, BatchError))}
    # A stop ends under the name of its reason, rows that a shard left are counted as failures.
    assert raised - {"BatchStopped", "RowsUnanswered"} <= REASONS.keys()


async def ended(error: Exception, *, retries: int = 0) -> tuple[State[None], int]:
    """Run a flow that always fails so; give its state and how often it was run."""
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
    raised = [error for error in PASSES + STAYS if type(error).__name__ in REASONS]
    endings = {type(error).__name__: (await ended(error))[0] for error in raised}
    assert {name: (state.is_failed(), state.name) for name, state in endings.items()} == {
        name: (True, REASONS[name].state) for name in endings
    }
    assert all(f"{name}: " in str(state.message) for name, state in endings.items())
    assert all(str(state.message).endswith(REASONS[name].next_step) for name, state in endings.items())


async def test_retries_that_cannot_help_are_given_up(prefect_server: None) -> None:
    state, runs = await ended(IncompleteRun(report(stop=STOP), "out of credit"), retries=2)
    assert (state.name, runs) == ("InsufficientCredits", 1)


async def test_retries_that_may_help_are_made_and_the_last_failure_is_named(prefect_server: None) -> None:
    state, runs = await ended(EndpointWaitTimeoutError("ep_1", waited=900.0), retries=1)
    assert (state.name, runs) == ("EndpointNeverReady", 2)


async def test_a_bug_stays_a_plain_failure(prefect_server: None) -> None:
    state, _ = await ended(ZeroDivisionError())
    assert (state.is_failed(), state.name) == (True, "Failed")
