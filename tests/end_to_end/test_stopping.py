"""Runs that are suspended, cancelled or killed, and go on with what is missing."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pareta_sandbox.testing import Status
from tests.end_to_end.conftest import House
from tests.end_to_end.processes import until
from tests.end_to_end.test_deployments import BATCH, batch, rows, state_of

PIPELINE = "run-pipeline/pipeline-tickets"


def pipeline(house: House, name: str, **fields: Any) -> dict[str, Any]:
    """Return the parameters of the tickets pipeline with another name and without comparisons."""
    own: dict[str, Any] = house.prefect.deployment(PIPELINE)["parameters"]["pipeline"]
    work = {**own["batch"], "max_in_flight": 4, **fields}
    return {**own, "name": name, "batch": work, "comparisons": []}


def endpoints(house: House, name: str) -> list[str]:
    """Return the states of the endpoints with this name."""
    return [each["status"] for each in house.endpoints() if each["name"] == name]


@pytest.fixture
def out_of_credit(house: House) -> Iterator[Callable[[int], str]]:
    """Yield a function that refuses completions with 402 after a number of further ones."""
    house.pareta.change(latency_ms=5)
    yield lambda left: house.pareta.inject(Status(status=402, skip=left))
    house.pareta.clear_faults()


def resumed_after_a_top_up(house: House, run: dict[str, Any]) -> dict[str, Any]:
    suspended = house.prefect.in_state(run["id"], "Suspended")
    assert suspended["state"]["type"] == "PAUSED"
    pid = house.prefect.process_of(run["id"])
    until(lambda: pid not in house.processes.alive(), within_s=300, what="no process while it is suspended")
    house.pareta.clear_faults()
    house.prefect.resume(run["id"])
    return house.prefect.ended(run["id"])


@pytest.mark.long
def test_an_empty_balance_suspends_a_batch_and_a_resume_sends_only_what_is_missing(
    house: House, out_of_credit: Callable[[int], str]
) -> None:
    before = house.pareta.books().completions
    out_of_credit(6)
    run = house.prefect.run(BATCH, batch=batch(house, "short"), on_empty_balance="suspend")
    message = house.prefect.in_state(run["id"], "Suspended")["state"]["message"]
    assert f"of {rows(house)} rows settled" in message
    assert "billed; top up, then Resume: only the" in message
    # Another run of the deployment is pending when this one is resumed; neither is cancelled.
    house.pareta.clear_faults()
    other = house.prefect.run(BATCH, batch=batch(house, "beside-a-resume"))
    assert state_of(resumed_after_a_top_up(house, run)) == ("COMPLETED", "Completed")
    assert state_of(house.prefect.ended(other["id"])) == ("COMPLETED", "Completed")
    house.pareta.completed(before + 2 * rows(house))
    house.pareta.debited_once()


@pytest.mark.long
def test_an_empty_balance_suspends_a_pipeline_with_its_endpoint_stopped(
    house: House, out_of_credit: Callable[[int], str]
) -> None:
    before = house.pareta.books().completions
    out_of_credit(6)
    run = house.prefect.run(PIPELINE, pipeline=pipeline(house, "short-pipeline"), on_empty_balance="suspend")
    house.prefect.in_state(run["id"], "Suspended")
    assert endpoints(house, "short-pipeline") == ["stopped"]
    assert state_of(resumed_after_a_top_up(house, run)) == ("COMPLETED", "Completed")
    assert endpoints(house, "short-pipeline") == ["stopped"]
    # Every row, and a smoke call before and after.
    house.pareta.completed(before + rows(house) + 2)
    house.pareta.debited_once()


@pytest.mark.long
def test_cancelling_stops_sending_settles_what_is_in_flight_and_stops_the_endpoint(house: House) -> None:
    before = house.pareta.books().completions
    house.pareta.change(latency_ms=400)
    work = pipeline(house, "cancelled", max_in_flight=2)
    run = house.prefect.run(PIPELINE, pipeline=work)
    house.settled(before, 4)
    # There is work for longer than it takes the worker to see that the run is to be cancelled.
    house.pareta.change(latency_ms=3000)
    pid = house.prefect.process_of(run["id"])
    house.prefect.set_state(run["id"], "CANCELLING")
    assert state_of(house.prefect.ended(run["id"])) == ("CANCELLED", "Cancelled")
    assert pid not in house.processes.alive()
    sent = house.pareta.books()
    assert sent.completions < before + rows(house)
    assert sent.in_flight == 0
    assert endpoints(house, "cancelled") == ["stopped"]
    # The worker cancels the run; the server cancels its subflows, in a pass every 20 s.
    below = [house.prefect.ended(each["id"]) for each in house.prefect.runs_below(run["id"])]
    assert {state_of(each) for each in below} == {("CANCELLED", "Cancelled")}
    runs = [run, *below]
    assert [line for each in runs for line in house.prefect.errors_of(each["id"])] == []
    house.pareta.change(latency_ms=5)
    again = house.prefect.ended(house.prefect.run(PIPELINE, pipeline=work)["id"])
    assert state_of(again) == ("COMPLETED", "Completed")
    # Every row, and a smoke call of each run.
    house.pareta.completed(before + rows(house) + 2)
    house.pareta.debited_once()
