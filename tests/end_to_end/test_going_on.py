"""What goes on by itself or with one click: a failed run that is retried, an incomplete batch, a flow from a clone."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from pareta_sandbox.testing import Status
from tests.end_to_end.conftest import House
from tests.end_to_end.processes import until
from tests.end_to_end.test_deployments import BATCH, batch, rows, state_of


def test_retry_in_the_menu_of_a_failed_run_sends_only_what_is_missing(house: House) -> None:
    before = house.pareta.books().completions
    house.pareta.inject(Status(status=402, skip=6))
    run = house.prefect.run(BATCH, batch=batch(house, "retried"), on_empty_balance="fail")
    failed = house.prefect.ended(run["id"])
    assert state_of(failed) == ("FAILED", "InsufficientCredits")
    assert "top up" in failed["state"]["message"]
    house.pareta.clear_faults()
    house.prefect.set_state(run["id"], "SCHEDULED", "AwaitingRetry")
    completed = house.prefect.in_state(run["id"], "Completed")
    assert completed["run_count"] == 2
    house.pareta.completed(before + rows(house))
    house.pareta.debited_once()


def test_an_incomplete_batch_schedules_its_retry_once_the_trigger_is_enabled(house: House) -> None:
    automations = house.prefect.ask("POST", "/automations/filter")
    (trigger,) = [each for each in automations if each["name"] == "pareta-retry-incomplete-batch"]
    assert not trigger["enabled"]
    house.prefect.ask("PATCH", f"/automations/{trigger['id']}", enabled=True)
    house.pareta.inject(Status(status=422, times=1))
    failed = house.prefect.ended(house.prefect.run(BATCH, batch=batch(house, "tickets-incomplete"))["id"])
    assert state_of(failed) == ("FAILED", "TooManyFailures")
    (retry,) = until(lambda: runs_of(house, "retry-failed/after-incomplete-batch"), within_s=120, what="its retry")
    house.prefect.ask("PATCH", f"/automations/{trigger['id']}", enabled=False)
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
    assert len(runs_of(house, "retry-failed/after-incomplete-batch")) == 1


def runs_of(house: House, deployment: str) -> list[dict[str, Any]]:
    """Give the runs of a deployment."""
    found = house.prefect.deployment(deployment)
    runs: list[dict[str, Any]] = house.prefect.ask(
        "POST", "/flow_runs/filter", deployments={"id": {"any_": [found["id"]]}}
    )
    return runs


def test_of_three_runs_that_are_late_one_runs_and_the_others_are_dropped(house: House) -> None:
    late = [house.prefect.run(BATCH, batch=batch(house, "late-thrice")) for _ in range(3)]
    ends = sorted(house.prefect.ended(run["id"])["state"]["type"] for run in late)
    assert ends == ["CANCELLED", "CANCELLED", "COMPLETED"]


@pytest.fixture
def repository(house: House, tmp_path: Path) -> Path:
    """Make a git repository of the project, with one deployment, under another name."""
    folder = tmp_path / "repository"
    shutil.copytree(house.folder, folder, ignore=shutil.ignore_patterns("answers", "reports", "__pycache__"))
    file = yaml.safe_load((folder / "prefect.yaml").read_text())
    (own,) = [
        each for each in file["deployments"] if each["entrypoint"].endswith("complete_batch") and "schedules" in each
    ]
    file["deployments"] = [{**own, "name": "from-a-clone", "schedules": []}]
    (folder / "prefect.yaml").write_text(yaml.safe_dump(file))
    for command in (("init", "-q", "-b", "release"), ("add", "-A"), ("commit", "-q", "-m", "All of it")):
        subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@t", *command], cwd=folder, check=True)
    return folder


def test_a_run_from_a_git_checkout_clones_it_and_completes(house: House, repository: Path) -> None:
    options = ("--repository", repository.as_uri(), "--branch", "release")
    house.processes.run("pareta-pipeline", "set-up", *options, folder=repository)
    assert not list(repository.glob(".prefect-*"))
    found = house.prefect.deployment("complete-batch/from-a-clone")
    work = {**found["parameters"]["batch"], "name": "cloned", "output": str(house.folder / "answers/cloned.jsonl")}
    run = house.prefect.ended(house.prefect.run("complete-batch/from-a-clone", batch=work)["id"])
    assert state_of(run) == ("COMPLETED", "Completed")
    assert "1 deployment pull step" in house.prefect.log_of(run["id"])
    assert (house.folder / "answers/cloned.jsonl").exists()
