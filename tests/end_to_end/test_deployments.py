"""Deployments of prefect.yaml, run by a worker: through the API as the UI runs them, again, and killed half way."""

import csv
import json
import os
from typing import Any

import pytest

from tests.end_to_end.conftest import KEY, House
from tests.end_to_end.processes import kill, until

BATCH = "complete-batch/complete-tickets"


def batch(house: House, name: str, **fields: Any) -> dict[str, Any]:
    """Return the parameters of the tickets batch with another name."""
    own: dict[str, Any] = house.prefect.deployment(BATCH)["parameters"]["batch"]
    return {**own, "name": name, **fields}


def rows(house: House) -> int:
    with (house.folder / "examples/tickets.csv").open(newline="") as file:
        return sum(1 for _ in csv.DictReader(file))


def state_of(run: dict[str, Any]) -> tuple[str, str]:
    return run["state"]["type"], run["state"]["name"]


@pytest.fixture(scope="module")
def finished(house: House) -> dict[str, Any]:
    """Run the tickets batch with changed parameters through the API, and return the ended run."""
    run = house.prefect.run(BATCH, batch=batch(house, "through-the-api", shard_size=7))
    return house.prefect.ended(run["id"])


@pytest.mark.long
def test_a_run_with_parameters_completes_and_leaves_its_artifacts(house: House, finished: dict[str, Any]) -> None:
    assert state_of(finished) == ("COMPLETED", "Completed")
    assert finished["name"] == "complete through-the-api on auto"
    assert house.prefect.artifacts(finished["id"]) == {
        "through-the-api-batch": "table",
        "through-the-api-batch-report": "markdown",
        "through-the-api-summary": "markdown",
        "through-the-api-progress": "progress",
    }
    answers = (house.folder / "answers/through-the-api.jsonl").read_text().splitlines()
    assert len(answers) == rows(house)
    assert all(json.loads(line)["answer"] for line in answers)


@pytest.mark.long
def test_the_same_batch_again_sends_nothing(house: House, finished: dict[str, Any]) -> None:
    before = house.pareta.books()
    again = house.prefect.ended(house.prefect.run(BATCH, **finished["parameters"])["id"])
    assert state_of(again) == ("COMPLETED", "Completed")
    house.pareta.silent_since(before)


@pytest.mark.long
def test_the_key_stands_in_no_log_and_no_parameter(house: House, finished: dict[str, Any]) -> None:
    assert house.prefect.log_of(finished["id"])
    assert KEY not in json.dumps(finished)
    assert KEY not in house.prefect.log_of(finished["id"])
    assert not any(KEY in log.read_text() for log in house.processes.home.glob("*.log"))


def test_a_wrong_value_is_refused_before_anything_runs(house: House) -> None:
    found = house.prefect.deployment(BATCH)
    body = {"parameters": {"batch": batch(house, "wrong", max_in_flight=0)}, "enforce_parameter_schema": True}
    refused = house.prefect.refusal("POST", f"/deployments/{found['id']}/create_flow_run", **body)
    assert "max_in_flight" in refused
    for wrong, reason in (({"output": "x.txt"}, "does not match"), ({"budget_usd": 5, "sampling": {}}, "max_tokens")):
        body["parameters"] = {"batch": batch(house, "wrong", **wrong)}
        refused = house.prefect.refusal("POST", f"/deployments/{found['id']}/create_flow_run", **body)
        assert reason in refused


@pytest.mark.long
def test_one_field_of_the_batch_is_set_and_the_others_are_those_of_the_deployment(house: House) -> None:
    run = house.prefect.ended(house.prefect.run(BATCH, batch={"name": "one-field", "max_in_flight": 64})["id"])
    assert state_of(run) == ("COMPLETED", "Completed")
    own = house.prefect.deployment(BATCH)["parameters"]["batch"]
    # Recorded with the run, so that its page shows what it did, and a resumed run does the same.
    assert run["parameters"]["batch"] == {**own, "name": "one-field", "max_in_flight": 64}


@pytest.mark.long
def test_a_second_run_of_a_batch_is_skipped_and_another_batch_is_not(slow: House) -> None:
    slow.pareta.change(latency_ms=6000)
    before = slow.pareta.books().completions
    work = batch(slow, "twice", max_in_flight=2)
    first = slow.prefect.run(BATCH, batch=work)
    slow.settled(before, 1)
    second, other = slow.prefect.run(BATCH, batch=work), slow.prefect.run(BATCH, batch=batch(slow, "other"))
    skipped = slow.prefect.ended(second["id"])
    assert state_of(skipped) == ("COMPLETED", "Skipped")
    assert f"run 'complete twice on auto' ({first['id']})" in skipped["state"]["message"]
    slow.pareta.change(latency_ms=5)
    assert state_of(slow.prefect.ended(other["id"])) == ("COMPLETED", "Completed")
    assert state_of(slow.prefect.ended(first["id"])) == ("COMPLETED", "Completed")
    slow.pareta.debited_once()


@pytest.mark.long
def test_a_killed_run_is_completed_by_the_next_with_every_row_debited_once(slow: House) -> None:
    before = slow.pareta.books().completions
    work = batch(slow, "killed", max_in_flight=3, shard_size=10)
    run = slow.prefect.run(BATCH, batch=work)
    pid = until(lambda: slow.prefect.process_of(run["id"]), within_s=300, what="the flow's process")
    slow.settled(before, 9)
    kill(pid)
    assert slow.prefect.ended(run["id"])["state"]["type"] == "CRASHED"
    slow.pareta.change(latency_ms=5)
    assert slow.pareta.books().completions < before + rows(slow)
    again = slow.prefect.ended(slow.prefect.run(BATCH, batch=work)["id"])
    assert state_of(again) == ("COMPLETED", "Completed")
    slow.pareta.completed(before + rows(slow))
    slow.pareta.debited_once()


def test_the_whole_pipeline_runs_from_the_command_line_and_its_parts_stand_below_it(house: House) -> None:
    parameters = json.dumps(
        {"pipeline": house.prefect.deployment("run-pipeline/pipeline-tickets")["parameters"]["pipeline"]}
    )
    command = ("deployment", "run", "run-pipeline/pipeline-tickets", "--params", parameters, "--watch")
    house.processes.run("prefect", *command, folder=house.folder)
    (run,) = house.prefect.runs_named("pipeline tickets")
    assert state_of(run) == ("COMPLETED", "Completed")
    below = house.prefect.runs_below(run["id"])
    assert sorted(each["name"].split()[0] for each in below) == ["compare", "complete"]
    assert {state_of(each)[1] for each in below} == {"Completed"}
    assert f"{rows(house)} of {rows(house)} rows settled" in run["state"]["message"]
    assert run["state"]["message"].endswith("; report: https://files.example/pareta/reports/tickets.html")
    # Its own page has the whole result, not only the pages of its parts.
    shown = house.prefect.artifacts(run["id"])
    assert shown.keys() >= {"tickets-pipeline", "tickets-pipeline-batch", "tickets-pipeline-models", "tickets-report"}
    page = house.prefect.artifact("tickets-pipeline")
    for part in ("rows settled", "## Batch tickets", "| model | quality |", "](data:image/svg+xml;base64,"):
        assert part in page
    assert "(https://files.example/pareta/reports/tickets.html)" in house.prefect.artifact("tickets-report")
    assert (house.folder / "reports/tickets.html").stat().st_size > 10_000


def test_the_server_the_worker_and_the_flows_are_found_by_their_mark(house: House) -> None:
    assert len(house.processes.alive()) >= 3
    assert os.getpid() not in house.processes.alive()
