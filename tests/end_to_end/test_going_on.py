"""What goes on by itself or with one click: a failed run that is retried, runs that are late, a flow from a clone."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from pareta_sandbox.testing import Status
from tests.end_to_end.conftest import House
from tests.end_to_end.test_deployments import BATCH, batch, rows, state_of

PACKAGES = {"flows", "tasks", "pareta_batch", "pareta_client", "pareta_report"}
"""Packages that a batch imports; only comparisons need `pareta_evals`."""


@pytest.mark.long
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


@pytest.mark.long
def test_three_late_runs_of_one_batch_send_each_row_once(house: House) -> None:
    before = house.pareta.books().completions
    late = [house.prefect.run(BATCH, batch=batch(house, "late-thrice")) for _ in range(3)]
    ends = [state_of(house.prefect.ended(run["id"])) for run in late]
    # A run that begins while another one holds the batch is skipped; a later one finds nothing to send.
    assert ("COMPLETED", "Completed") in ends
    assert set(ends) <= {("COMPLETED", "Completed"), ("COMPLETED", "Skipped")}
    house.pareta.completed(before + rows(house))
    house.pareta.debited_once()


@pytest.fixture
def repository(house: House, tmp_path: Path) -> Path:
    """Make a git repository of the project, with one deployment, whose packages write down that they are imported."""
    folder = tmp_path / "repository"
    shutil.copytree(house.folder, folder, ignore=shutil.ignore_patterns("__pycache__"))
    for outputs in ("answers", "reports"):
        shutil.rmtree(folder / outputs, ignore_errors=True)
    for package in PACKAGES:
        with (folder / package / "__init__.py").open("a") as module:
            module.write(f"with open({str(tmp_path / 'imported')!r}, 'a') as _file:\n    print(__name__, file=_file)\n")
    file = yaml.safe_load((folder / "prefect.yaml").read_text())
    (own,) = [
        each for each in file["deployments"] if each["entrypoint"].endswith("complete_batch") and "schedules" in each
    ]
    file["deployments"] = [{**own, "name": "from-a-clone", "schedules": []}]
    (folder / "prefect.yaml").write_text(yaml.safe_dump(file))
    for command in (("init", "-q", "-b", "release"), ("add", "-A"), ("commit", "-q", "-m", "All of it")):
        subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@t", *command], cwd=folder, check=True)
    return folder


@pytest.mark.long
def test_a_run_from_a_git_checkout_clones_it_and_runs_its_code(house: House, repository: Path, tmp_path: Path) -> None:
    options = ("--repository", repository.as_uri(), "--branch", "release")
    house.processes.run("pareta-pipeline", "set-up", *options, folder=repository)
    assert not list(repository.glob(".prefect-*"))
    (tmp_path / "imported").unlink()
    found = house.prefect.deployment("complete-batch/from-a-clone")
    work = {**found["parameters"]["batch"], "name": "cloned", "output": str(house.folder / "answers/cloned.jsonl")}
    run = house.prefect.ended(house.prefect.run("complete-batch/from-a-clone", batch=work)["id"])
    assert state_of(run) == ("COMPLETED", "Completed")
    assert "1 deployment pull step" in house.prefect.log_of(run["id"])
    assert (house.folder / "answers/cloned.jsonl").exists()
    # The worker has the project installed too: its copy stood in for none of them.
    assert set((tmp_path / "imported").read_text().split()) == PACKAGES
