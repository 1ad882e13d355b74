"""A spec of a team, scheduled by the command: the worker runs it, and a second command updates its deployment."""

import json
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.end_to_end.conftest import House
from tests.end_to_end.processes import until
from tests.end_to_end.test_deployments import state_of
from tests.end_to_end.test_triggers import runs_of

SCHEDULED = "complete-batch/scheduled-complete-invoices"
SPEC = {"name": "invoices", "model": "auto", "dataset": "invoices.csv", "id_column": "id", "prompt": "Sort: {text}"}


def schedule(house: House, folder: Path, cron: str) -> str:
    options = ("--cron", cron, "--timezone", "Etc/UTC")
    return house.processes.run("pareta-pipeline", "schedule", "invoices.yaml", *options, folder=folder)


def run_by_command(house: House, folder: Path) -> dict[str, Any]:
    """Run the deployment as a person does in a terminal, and return the ended run."""
    known = {run["id"] for run in runs_of(house, SCHEDULED)}
    house.processes.run("prefect", "deployment", "run", SCHEDULED, folder=folder)
    (run,) = [run for run in runs_of(house, SCHEDULED) if run["id"] not in known and not run["auto_scheduled"]]
    return house.prefect.ended(run["id"], within_s=300)


def answered(folder: Path) -> list[str]:
    lines = (folder / "answers/invoices.jsonl").read_text().splitlines()
    return sorted(answer["id"] for answer in map(json.loads, lines) if answer["answer"])


def planned_times(house: House) -> set[str] | None:
    """Return the times of day of the planned runs; None before there are any."""
    starts = [run["expected_start_time"] for run in runs_of(house, SCHEDULED) if run["auto_scheduled"]]
    return {f"{datetime.fromisoformat(each):%H:%M}" for each in starts} or None


@pytest.mark.long
@pytest.mark.skipif(version("sqlalchemy") >= "2.1", reason="Prefect 3.8's scheduler fails on SQLAlchemy 2.1")
def test_the_worker_runs_a_scheduled_spec_which_is_updated_and_not_doubled(house: House, tmp_path: Path) -> None:
    before = house.pareta.books().completions
    # No planned run begins during the test.
    hour = (datetime.now(UTC).hour + 6) % 24
    (tmp_path / "invoices.yaml").write_text(yaml.safe_dump(SPEC))
    (tmp_path / "invoices.csv").write_text("id,text\n1,Paper for the printer\n2,Rent of the office\n")
    printed = schedule(house, tmp_path, f"0 {hour} * * *")
    assert f"{SCHEDULED}: created" in printed
    made = house.prefect.deployment(SCHEDULED)
    run = run_by_command(house, tmp_path)
    assert state_of(run) == ("COMPLETED", "Completed"), run["state"]
    assert answered(tmp_path) == ["1", "2"]
    assert until(lambda: planned_times(house), within_s=300, what="planned runs") == {f"{hour:02}:00"}
    deployments = house.prefect.ask("POST", "/deployments/count")

    with (tmp_path / "invoices.csv").open("a") as file:
        file.write("3,Tickets for the train\n")
    assert f"{SCHEDULED}: updated" in schedule(house, tmp_path, f"30 {hour} * * *")
    again = house.prefect.deployment(SCHEDULED)
    assert (again["id"], house.prefect.ask("POST", "/deployments/count")) == (made["id"], deployments)
    assert [each["schedule"]["cron"] for each in again["schedules"]] == [f"30 {hour} * * *"]
    # The server deletes the runs that it had planned, but those that its scheduler is just writing stay.
    new = f"{hour:02}:30"
    until(lambda: new in (planned_times(house) or ()) or None, within_s=300, what="runs planned for the new time")
    run = run_by_command(house, tmp_path)
    assert state_of(run) == ("COMPLETED", "Completed"), run["state"]
    assert answered(tmp_path) == ["1", "2", "3"]
    house.pareta.completed(before + 3)
    house.processes.run("pareta-pipeline", "schedule", "invoices.yaml", "--remove", folder=tmp_path)
    assert house.prefect.ask("POST", "/deployments/count") == deployments - 1
