"""Runs that nobody starts by hand: an event that carries parameters, and a schedule."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

import pytest

from pareta_sandbox.testing import Status
from tests.end_to_end.conftest import House
from tests.end_to_end.processes import until
from tests.end_to_end.test_deployments import BATCH, batch, state_of


def run_named(house: House, name: str) -> dict[str, Any]:
    """Wait for a run of that name to begin."""
    run, *_ = until(lambda: house.prefect.runs_named(name), within_s=300, what=f"a run named {name}")
    return run


@contextmanager
def enabled(house: House, automation: str) -> Iterator[None]:
    """Enable the trigger of a deployment, as its switch under Automations does, while the body runs."""
    automations = house.prefect.ask("POST", "/automations/filter")
    (trigger,) = [each for each in automations if each["name"] == automation]
    assert not trigger["enabled"]
    house.prefect.ask("PATCH", f"/automations/{trigger['id']}", enabled=True)
    yield
    house.prefect.ask("PATCH", f"/automations/{trigger['id']}", enabled=False)


def runs_of(house: House, deployment: str) -> list[dict[str, Any]]:
    """Return the runs of a deployment."""
    found = house.prefect.deployment(deployment)
    runs: list[dict[str, Any]] = house.prefect.ask(
        "POST", "/flow_runs/filter", deployments={"id": {"any_": [found["id"]]}}
    )
    return runs


def emit(house: House, payload: object) -> None:
    """Announce a dataset."""
    event = ("event", "emit", "pareta.dataset.added", "--resource-id", "pareta.dataset.late")
    house.processes.run("prefect", *event, "--payload", json.dumps(payload), folder=house.folder)


def new_runs(house: House, deployment: str, known: set[str], count: int) -> list[dict[str, Any]] | None:
    """Return the new runs of a deployment once there are so many."""
    found = [run for run in runs_of(house, deployment) if run["id"] not in known]
    return found if len(found) == count else None


@pytest.mark.long
def test_one_event_starts_a_run_with_the_parameters_from_its_payload(house: House) -> None:
    shutil.copy(house.folder / "examples/tickets.csv", house.folder / "examples/late.csv")
    with enabled(house, "pareta-new-dataset"):
        emit(house, {"name": "late", "dataset": "examples/late.csv"})
        run = house.prefect.ended(run_named(house, "complete late on auto")["id"])
    assert state_of(run) == ("COMPLETED", "Completed")
    given = run["parameters"]["batch"]
    assert (given["name"], given["dataset"], given["sampling"]["max_tokens"]) == ("late", "examples/late.csv", 10)
    assert (house.folder / "examples/answers/late.jsonl").exists()


@pytest.mark.long
def test_an_event_takes_over_no_batch_and_one_without_its_field_ends_in_a_state_that_names_it(house: House) -> None:
    by_hand = house.prefect.run(BATCH, batch=batch(house, "payroll"))
    assert state_of(house.prefect.ended(by_hand["id"])) == ("COMPLETED", "Completed")
    before = house.pareta.books()
    deployment = "complete-batch/on-new-dataset"
    known = {run["id"] for run in runs_of(house, deployment)}
    with enabled(house, "pareta-new-dataset"):
        emit(house, {"name": "payroll", "dataset": "examples/tickets.csv"})
        emit(house, {"dataset": "examples/tickets.csv"})
        emit(house, {"name": "no name", "dataset": "examples/tickets.csv"})
        runs = until(lambda: new_runs(house, deployment, known, 3), within_s=300, what="three runs")
    ended = {run["state"]["name"]: run for run in (house.prefect.ended(each["id"]) for each in runs)}
    assert sorted(ended) == ["EventIncomplete", "Failed", "NotAllowed"]
    assert "was started by 'complete-batch/complete-tickets'" in ended["NotAllowed"]["state"]["message"]
    assert "event without field 'name'" in ended["EventIncomplete"]["state"]["message"]
    assert "batch.name" in ended["Failed"]["state"]["message"]
    house.pareta.silent_since(before)


@pytest.mark.long
def test_a_finished_batch_starts_its_comparison_once_the_trigger_is_enabled(house: House) -> None:
    deployment = "compare-models/after-batch"
    with enabled(house, "pareta-compare-after-batch"):
        run = house.prefect.run(BATCH, batch=batch(house, "tickets-done"))
        assert state_of(house.prefect.ended(run["id"])) == ("COMPLETED", "Completed")
        (comparison,) = until(lambda: runs_of(house, deployment), within_s=300, what="its comparison")
    ended = house.prefect.ended(comparison["id"])
    assert state_of(ended) == ("COMPLETED", "Completed")
    own = house.prefect.deployment(deployment)["parameters"]["comparisons"]
    assert ended["parameters"]["comparisons"] == {**own, "name": "tickets-done-models"}
    assert (house.folder / "reports/tickets-done-models.html").exists()
    assert len(runs_of(house, deployment)) == 1


@pytest.mark.long
def test_an_incomplete_batch_schedules_its_retry_once_the_trigger_is_enabled(house: House) -> None:
    deployment = "retry-failed/after-incomplete-batch"
    house.pareta.inject(Status(status=422, times=1))
    with enabled(house, "pareta-retry-incomplete-batch"):
        failed = house.prefect.ended(house.prefect.run(BATCH, batch=batch(house, "tickets-incomplete"))["id"])
        assert state_of(failed) == ("FAILED", "TooManyFailures")
        (retry,) = until(lambda: runs_of(house, deployment), within_s=300, what="its retry")
    given = retry["parameters"]["batch"]
    assert (given["name"], given["model"], given["output"]) == (
        "tickets-incomplete",
        "auto",
        "answers/tickets-incomplete.jsonl",
    )
    # A quarter of an hour later; here somebody runs it now.
    assert (retry["state"]["type"], retry["expected_start_time"] > failed["end_time"]) == ("SCHEDULED", True)
    house.prefect.set_state(retry["id"], "SCHEDULED")
    assert house.prefect.ended(retry["id"])["name"] == "retry tickets-incomplete on auto"
    assert len(runs_of(house, deployment)) == 1


@pytest.mark.long
@pytest.mark.skipif(version("sqlalchemy") >= "2.1", reason="Prefect 3.8's scheduler fails on SQLAlchemy 2.1")
def test_a_schedule_starts_a_run_when_its_time_has_come(house: House) -> None:
    deployment = house.prefect.deployment(BATCH)
    schedule = {
        "schedule": {"interval": 10, "timezone": "Europe/Berlin"},
        "active": True,
        "parameters": {"batch": batch(house, "scheduled")},
    }
    (made,) = house.prefect.ask("POST", f"/deployments/{deployment['id']}/schedules", [schedule])
    run = run_named(house, "complete scheduled on auto")
    house.prefect.ask("DELETE", f"/deployments/{deployment['id']}/schedules/{made['id']}")
    assert state_of(house.prefect.ended(run["id"])) == ("COMPLETED", "Completed")
    assert run["auto_scheduled"]


def test_the_schedules_that_spend_money_are_there_and_inactive(house: House) -> None:
    (morning,) = [each for each in house.prefect.deployment(BATCH)["schedules"] if each["slug"] == "weekday-mornings"]
    assert (morning["active"], morning["schedule"]["timezone"]) == (False, "Europe/Berlin")


@pytest.mark.long
def test_setting_up_again_changes_nothing(house: House) -> None:
    before = house.prefect.ask("POST", "/deployments/filter")
    house.processes.run("pareta-pipeline", "set-up", folder=house.folder)
    after = house.prefect.ask("POST", "/deployments/filter")
    assert sorted(each["id"] for each in before) == sorted(each["id"] for each in after)
    assert house.prefect.ask("GET", "/v2/concurrency_limits/pareta:auto")["limit"] == 64
