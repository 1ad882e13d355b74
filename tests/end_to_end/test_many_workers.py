"""Many workers: one limit for all, and a run whose worker died."""

from typing import Any

import pytest

from pareta_batch.engine.control import Controls
from pareta_batch.ledger.ledger import Ledger
from pareta_client import Pareta
from tests.end_to_end.conftest import House
from tests.end_to_end.processes import kill, until
from tests.end_to_end.test_deployments import BATCH, batch, rows, state_of

LIMITS = "/v2/concurrency_limits"
POOL = "second-pool"
ELSEWHERE = "complete-batch/elsewhere"


@pytest.fixture(scope="module")
def elsewhere(house: House) -> str:
    """Deploy the batch once more, in a work pool of its own; give the deployment's name."""
    own = house.prefect.deployment(BATCH)
    pool = house.prefect.ask("GET", "/work_pools/pareta")
    house.prefect.ask("POST", "/work_pools/", name=POOL, type="process", base_job_template=pool["base_job_template"])
    copied = {key: own[key] for key in ("flow_id", "entrypoint", "path", "pull_steps", "parameters")}
    house.prefect.ask("POST", "/deployments/", {**copied, "name": "elsewhere", "work_pool_name": POOL})
    return ELSEWHERE


@pytest.fixture(scope="module")
def endpoint(house: House) -> str:
    """Deploy an endpoint, whose limit of four slots nobody else takes: a killed run keeps its own for a minute."""
    with Pareta(api_key=house.pareta.api_key, base_url=house.pareta.base_url) as client:
        model = client.endpoints.deploy(task="support-ticket-routing", name="two-workers", wait=True).id
    assert model is not None
    house.prefect.ask("POST", f"{LIMITS}/", name=f"pareta:{model}", limit=4)
    return model


def start_worker(house: House, name: str) -> int:
    return house.processes.start(name, "prefect", "worker", "start", "--pool", POOL, folder=house.folder)


def logged(house: House, run: dict[str, Any], words: str) -> None:
    until(lambda: words in house.prefect.log_of(run["id"]) or None, within_s=300, what=f"{words!r} in the log")


@pytest.mark.long
def test_two_workers_share_one_limit(slow: House, elsewhere: str, endpoint: str) -> None:
    before = slow.pareta.books().completions
    limit = f"{LIMITS}/pareta:{endpoint}"
    worker = start_worker(slow, "second-worker")
    here = slow.prefect.run(BATCH, batch=batch(slow, "here", model=endpoint, max_in_flight=3))
    first = Controls(Ledger.open(slow.processes.environment["PARETA_LEDGER_URL"]), "here")
    until(first.live, within_s=300, what="a run that sends")
    # It keeps its slots.
    first.request(paused=True)
    there = slow.prefect.run(elsewhere, batch=batch(slow, "there", model=endpoint, max_in_flight=3))
    logged(slow, there, "waiting for 3 of the 4 slots")
    assert slow.prefect.ask("GET", limit)["active_slots"] == 3
    assert "holding" not in slow.prefect.log_of(there["id"])
    slow.pareta.change(latency_ms=5)
    first.request(paused=False)
    assert {state_of(slow.prefect.ended(run["id"])) for run in (here, there)} == {("COMPLETED", "Completed")}
    slow.pareta.completed(before + 2 * rows(slow))
    slow.pareta.debited_once()
    assert slow.prefect.ask("GET", limit)["active_slots"] == 0
    # Asked to end, it takes minutes, in which it would take runs of the next test and report for them.
    kill(worker)
    until(lambda: worker not in slow.processes.alive(), within_s=300, what="no second worker")


@pytest.mark.long
def test_a_run_whose_worker_was_killed_goes_on_with_what_is_missing_when_it_is_retried(
    slow: House, elsewhere: str
) -> None:
    before = slow.pareta.books().completions
    worker = start_worker(slow, "killed-worker")
    run = slow.prefect.run(elsewhere, batch=batch(slow, "worker-killed", max_in_flight=3))
    slow.settled(before, 3)
    pid = until(lambda: slow.prefect.process_of(run["id"]), within_s=300, what="the flow's process")
    kill(worker)
    kill(pid)
    assert slow.prefect.flow_run(run["id"])["state"]["type"] == "RUNNING"
    slow.pareta.change(latency_ms=5)
    # What Change state and then Retry do in the run's menu.
    slow.prefect.set_state(run["id"], "CRASHED")
    slow.prefect.set_state(run["id"], "SCHEDULED", "AwaitingRetry")
    start_worker(slow, "next-worker")
    until(lambda: slow.prefect.flow_run(run["id"])["run_count"] > 1 or None, within_s=300, what="another attempt")
    assert state_of(slow.prefect.ended(run["id"])) == ("COMPLETED", "Completed")
    slow.pareta.completed(before + rows(slow))
    slow.pareta.debited_once()
