"""A run whose worker died is noticed without a person, and started again once; a healthy run is left alone."""

from typing import Any

import pytest

from tests.end_to_end.conftest import House
from tests.end_to_end.processes import kill, until
from tests.end_to_end.test_deployments import BATCH, batch, rows, state_of
from tests.end_to_end.test_stopping import PIPELINE, endpoints, pipeline

POOL = "mortal"
DEPLOYMENT = "run-pipeline/mortal"
SILENCE_S = 65
"""Seconds without a heartbeat until a run is Crashed: two heartbeats of 30 s."""


@pytest.fixture
def mortal(house: House) -> int:
    """Deploy the pipeline once more, for a worker of its own; return the process of the worker."""
    own = house.prefect.deployment(PIPELINE)
    pool = house.prefect.ask("GET", "/work_pools/pareta")
    house.prefect.ask("POST", "/work_pools/", name=POOL, type="process", base_job_template=pool["base_job_template"])
    copied = {key: own[key] for key in ("flow_id", "entrypoint", "path", "pull_steps", "parameters")}
    house.prefect.ask("POST", "/deployments/", {**copied, "name": "mortal", "work_pool_name": POOL})
    return worker(house, "mortal-worker")


def worker(house: House, name: str) -> int:
    return house.processes.start(name, "prefect", "worker", "start", "--pool", POOL, folder=house.folder)


def notice_sooner(house: House) -> None:
    """Shorten the time of the automation, as its page in the UI does."""
    (found,) = [
        each for each in house.prefect.ask("POST", "/automations/filter") if each["name"] == "pareta-crash-silent-runs"
    ]
    changed = {**found, "trigger": {**found["trigger"], "within": SILENCE_S}}
    for field in ("id", "created", "updated"):
        changed.pop(field)
    house.prefect.ask("PUT", f"/automations/{found['id']}", changed)


def states(house: House, run: dict[str, Any]) -> list[str]:
    found = house.prefect.ask("GET", f"/flow_run_states/?flow_run_id={run['id']}")
    return [each["name"] for each in sorted(found, key=lambda each: str(each["timestamp"]))]


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_run_whose_worker_died_is_crashed_and_started_again_once_and_a_healthy_one_is_not(
    house: House, mortal: int
) -> None:
    notice_sooner(house)
    before = house.pareta.books().completions
    house.pareta.change(latency_ms=2500)
    # One call at a time: it lasts longer than the silence after which a run is Crashed.
    healthy = house.prefect.run(BATCH, batch=batch(house, "healthy", max_in_flight=1))
    dead = house.prefect.run(DEPLOYMENT, pipeline=pipeline(house, "zombie", max_in_flight=2))
    house.settled(before, 6)
    pid = until(lambda: house.prefect.process_of(dead["id"]), within_s=300, what="the process of the run")
    kill(mortal)
    kill(pid)
    assert state_of(house.prefect.flow_run(dead["id"])) == ("RUNNING", "Running")
    crashed = house.prefect.in_state(dead["id"], "AwaitingRetry", within_s=240)
    assert "Crashed" in states(house, crashed)
    (below,) = house.prefect.runs_below(dead["id"])
    assert house.prefect.in_state(below["id"], "Crashed", within_s=300)["deployment_id"] is None
    worker(house, "second-mortal-worker")
    house.pareta.change(latency_ms=5)
    ended = house.prefect.in_state(dead["id"], "Completed", within_s=300)
    assert (ended["run_count"], states(house, dead).count("AwaitingRetry")) == (2, 1)
    assert endpoints(house, "zombie") == ["stopped"]
    assert state_of(house.prefect.ended(healthy["id"])) == ("COMPLETED", "Completed")
    assert "Crashed" not in states(house, healthy)
    # The rows of both, and a smoke call of each start of the pipeline.
    house.pareta.completed(before + 2 * rows(house) + 2)
    house.pareta.debited_once()
