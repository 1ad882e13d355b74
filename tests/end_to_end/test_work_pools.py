"""Another work pool on a real server: its deployment, its worker with a health check, and the version of its runs."""

from importlib.metadata import version
from pathlib import Path

import httpx
import pytest
import yaml

from tests.end_to_end.conftest import House
from tests.end_to_end.processes import processes, until
from tests.end_to_end.test_deployments import BATCH, batch, state_of
from tests.ports import free_port


@pytest.mark.long
def test_a_pool_of_its_own_runs_its_deployments_and_its_worker_is_healthy(house: House, tmp_path: Path) -> None:
    spec = batch(house, "pooled")
    deployment = {
        "name": "pooled",
        "entrypoint": "flows.complete_batch.complete_batch",
        "work_pool": {"name": "pareta"},
        "parameters": {"batch": spec},
    }
    (house.folder / "pooled.yaml").write_text(yaml.safe_dump({"deployments": [deployment]}))
    options = ("--file", "pooled.yaml", "--pool", "second")
    printed = house.processes.run("pareta-pipeline", "set-up", *options, folder=house.folder)
    assert "work pool second: created" in printed
    assert "prefect worker start --pool second" in printed
    port = free_port()
    variables = {"PREFECT_WORKER_WEBSERVER_PORT": str(port), "PREFECT_WORKER_WEBSERVER_HOST": "127.0.0.1"}
    command = ("prefect", "worker", "start", "--pool", "second", "--with-healthcheck")
    with processes(tmp_path, **{**house.processes.environment, **variables}) as second:
        second.start("second", *command, folder=house.folder)
        until(lambda: is_healthy(port), within_s=300, what="a healthy worker")
        run = house.prefect.run("complete-batch/pooled")
        ended = house.prefect.ended(run["id"])
    assert state_of(ended) == ("COMPLETED", "Completed")
    assert (ended["work_pool_name"], ended["deployment_version"]) == ("second", version("pareta-pipelines"))
    assert house.prefect.deployment(BATCH)["work_pool_name"] == "pareta"


def is_healthy(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health", timeout=30).status_code == 200
    except httpx.TransportError:
        return False
