"""Runs that nobody starts by hand: an event that carries parameters, and a schedule."""

import json
import shutil
from importlib.metadata import version
from typing import Any

import pytest

from tests.end_to_end.conftest import House
from tests.end_to_end.processes import until
from tests.end_to_end.test_deployments import BATCH, batch, state_of


def run_named(house: House, name: str) -> dict[str, Any]:
    """Wait for a run of that name to begin."""
    run, *_ = until(lambda: house.prefect.runs_named(name), within_s=120, what=f"a run named {name}")
    return run


def test_one_event_starts_a_run_with_the_parameters_from_its_payload(house: House) -> None:
    shutil.copy(house.folder / "examples/tickets.csv", house.folder / "late.csv")
    event = ("event", "emit", "pareta.dataset.added", "--resource-id", "pareta.dataset.late")
    house.processes.run(
        "prefect", *event, "--payload", json.dumps({"name": "late", "dataset": "late.csv"}), folder=house.folder
    )
    run = house.prefect.ended(run_named(house, "complete late on auto")["id"])
    assert state_of(run) == ("COMPLETED", "Completed")
    given = run["parameters"]["batch"]
    assert (given["name"], given["dataset"], given["sampling"]["max_tokens"]) == ("late", "late.csv", 10)
    assert (house.folder / "answers/late.jsonl").exists()


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


def test_setting_up_again_changes_nothing(house: House) -> None:
    before = house.prefect.ask("POST", "/deployments/filter")
    house.processes.run("pareta-pipeline", "set-up", folder=house.folder)
    after = house.prefect.ask("POST", "/deployments/filter")
    assert sorted(each["id"] for each in before) == sorted(each["id"] for each in after)
    assert house.prefect.ask("GET", "/v2/concurrency_limits/pareta:auto")["limit"] == 64
