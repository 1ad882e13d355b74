"""What a person changes on the server: kept by a set-up beside a worker, used by its runs, undone by a reset."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.end_to_end.conftest import House
from tests.end_to_end.processes import processes
from tests.end_to_end.test_deployments import batch, rows, state_of

NAME = "complete-batch/changed"
TRIGGER = "pareta-changed"
POOL = "persons"
FILE = "changed.yaml"


def write_file(house: House) -> None:
    trigger = {
        "name": TRIGGER,
        "enabled": False,
        "expect": ["pareta.dataset.added"],
        "match": {"prefect.resource.id": "pareta.dataset.changed"},
    }
    deployment = {
        "name": "changed",
        "entrypoint": "flows.complete_batch.complete_batch",
        "work_pool": {"name": "pareta"},
        "schedules": [{"slug": "nights", "cron": "0 3 * * *", "timezone": "Etc/UTC", "active": True}],
        "triggers": [trigger],
        "parameters": {"batch": batch(house, "as-in-the-file")},
    }
    (house.folder / FILE).write_text(yaml.safe_dump({"deployments": [deployment]}))


def set_up(house: House, *options: str) -> str:
    return house.processes.run("pareta-pipeline", "set-up", "--file", FILE, *options, folder=house.folder)


def change_by_hand(house: House) -> None:
    """Change what the pages of the UI offer: pool, parameters, schedules, and the switch of the automation."""
    template = house.prefect.ask("GET", "/work_pools/pareta")["base_job_template"]
    house.prefect.ask("POST", "/work_pools/", name=POOL, type="process", base_job_template=template)
    found = house.prefect.deployment(NAME)
    at, parameters = f"/deployments/{found['id']}", {"batch": batch(house, "by-hand")}
    house.prefect.ask("PATCH", at, work_pool_name=POOL, parameters=parameters)
    (nights,) = found["schedules"]
    house.prefect.ask("PATCH", f"{at}/schedules/{nights['id']}", active=False)
    noon = {"schedule": {"cron": "0 12 * * *", "timezone": "Etc/UTC"}, "active": False, "slug": "noon"}
    house.prefect.ask("POST", f"{at}/schedules", [noon])
    house.prefect.ask("PATCH", f"/automations/{automation(house)['id']}", enabled=True)


def automation(house: House) -> dict[str, Any]:
    (found,) = [each for each in house.prefect.ask("POST", "/automations/filter") if each["name"] == TRIGGER]
    return dict(found)


def on_server(house: House) -> dict[str, Any]:
    """Return what a person has changed."""
    found = house.prefect.deployment(NAME)
    return {
        "pool": found["work_pool_name"],
        "batch": found["parameters"]["batch"]["name"],
        "schedules": {each["slug"]: each["active"] for each in found["schedules"]},
        "automation": automation(house)["enabled"],
    }


@contextmanager
def worker(house: House, home: Path) -> Iterator[None]:
    with processes(home, **house.processes.environment) as started:
        started.start("worker", "prefect", "worker", "start", "--pool", POOL, folder=house.folder)
        yield


def completed(house: House, run: dict[str, Any], name: str, pool: str) -> None:
    """Check that a run completed its batch in its pool."""
    ended = house.prefect.ended(run["id"], within_s=300)
    assert state_of(ended) == ("COMPLETED", "Completed"), ended["state"]
    assert (ended["name"], ended["work_pool_name"]) == (f"complete {name} on auto", pool)


@pytest.mark.long
def test_a_persons_changes_are_kept_while_a_worker_runs_and_undone_by_a_reset(slow: House, tmp_path: Path) -> None:
    write_file(slow)
    assert f"{NAME}: created" in set_up(slow)
    in_file, made = on_server(slow), slow.prefect.deployment(NAME)["id"]
    change_by_hand(slow)
    by_hand = on_server(slow)
    before = slow.pareta.books().completions
    with worker(slow, tmp_path):
        run = slow.prefect.run(NAME)
        slow.settled(before, 1)
        printed = set_up(slow)
        slow.pareta.change(latency_ms=5)
        completed(slow, run, "by-hand", POOL)
        for line in (
            f"{NAME}: unchanged",
            f'kept work pool: "{POOL}" on the server, "pareta" in the file',
            'kept parameters batch name: "by-hand" on the server, "as-in-the-file" in the file',
            "kept schedules nights active: false on the server, true in the file",
            "kept schedules noon timing: ",
            f"kept automations {TRIGGER} enabled: true on the server, false in the file",
        ):
            assert line in printed
        assert on_server(slow) == by_hand
        # The next run uses the changed parameters too: the batch is complete, nothing is sent.
        completed(slow, slow.prefect.run(NAME), "by-hand", POOL)
        slow.pareta.completed(before + rows(slow))
    assert f"{NAME}: updated" in set_up(slow, "--reset")
    assert (on_server(slow), slow.prefect.deployment(NAME)["id"]) == (in_file, made)
    completed(slow, slow.prefect.run(NAME), "as-in-the-file", "pareta")
    slow.pareta.completed(before + 2 * rows(slow))
    slow.prefect.ask("DELETE", f"/deployments/{made}")
