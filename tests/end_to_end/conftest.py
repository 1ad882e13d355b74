"""A real Prefect server, a process worker and a sandbox, each in a process of its own, with prefect.yaml deployed."""

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pareta_client import Pareta
from pareta_sandbox.testing import Sandbox, attach
from tests.end_to_end.prefect_api import PrefectApi
from tests.end_to_end.processes import Processes, processes, until
from tests.ports import free_port

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
PARTS = ("flows", "tasks", "pareta_batch", "pareta_client", "pareta_evals", "pareta_report", "examples")
KEY = "pareta_sk_end_to_end"


@dataclass(frozen=True)
class House:
    """All that runs, and the folder in which the worker runs the flows."""

    prefect: PrefectApi
    pareta: Sandbox
    processes: Processes
    folder: Path

    def settled(self, before: int, count: int, *, within_s: float = 300) -> None:
        """Wait until the service has billed so many completions more than before."""
        until(
            lambda: self.pareta.books().completions >= before + count or None,
            within_s=within_s,
            what=f"{count} completions",
        )

    def endpoints(self) -> list[dict[str, Any]]:
        """Return the endpoints in the list of the service."""
        with Pareta(api_key=self.pareta.api_key, base_url=self.pareta.base_url) as client:
            return [endpoint.to_dict() for endpoint in client.endpoints.list()]


@pytest.fixture(scope="session")
def home() -> Iterator[Path]:
    """Yield a temporary folder, in memory if possible: on a busy disk Prefect's SQLite stalls for 30 s."""
    in_memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="house-", dir=in_memory if in_memory.is_dir() else None) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def house(home: Path) -> Iterator[House]:
    """Start everything once; nothing is left running, also when something here fails."""
    folder = _project_in(home)
    prefect_port, pareta_port = free_port(), free_port()
    api = f"http://127.0.0.1:{prefect_port}/api"
    environment = {
        "PREFECT_HOME": str(home / "prefect"),
        "PREFECT_PROFILES_PATH": str(home / "prefect" / "profiles.toml"),
        "PREFECT_API_URL": api,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_ENABLED": "false",
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        # A schedule that is added to a deployment is seen by the scheduler's main loop only, once a minute by default.
        "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "3",
        # A server that is restarted finds the slots of its limits again, as docs/prefect.md asks for.
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
        # The minimum: a run without a heartbeat is noticed sooner.
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
        "PARETA_API_KEY": KEY,
        "PARETA_BASE_URL": f"http://127.0.0.1:{pareta_port}",
        "PARETA_REPORTS_URL": "https://files.example/pareta",
        "PARETA_LEDGER_URL": f"sqlite:///{home}/ledger.db",
        "MPLCONFIGDIR": str(home / "matplotlib"),
    }
    with processes(home, **environment) as started:
        options = ("--deploy-s", "0.2", "--cold-start-s", "0.2", "--eval-s", "0.1", "--latency-ms", "5")
        started.start("sandbox", "python", "-m", "pareta_sandbox", "--port", str(pareta_port), *options, folder=PROJECT)
        started.start("server", "prefect", "server", "start", "--port", str(prefect_port), folder=folder)
        prefect = PrefectApi(api)
        until(prefect.healthy, within_s=300, what=f"a Prefect server; see {started.log('server')}")
        started.run("pareta-pipeline", "set-up", "--limit", "auto=64", folder=folder)
        started.start("worker", "prefect", "worker", "start", "--pool", "pareta", folder=folder)
        yield House(prefect, attach(f"http://127.0.0.1:{pareta_port}", KEY), started, folder)
        prefect.close()
    assert not started.alive()


@pytest.fixture
def slow(house: House) -> Iterator[House]:
    """Yield the house with a slow service, and make the service fast again at the end."""
    house.pareta.change(latency_ms=1500)
    yield house
    house.pareta.change(latency_ms=5)


def _project_in(home: Path) -> Path:
    """Copy what is deployed, so that what the flows write stays out of the project."""
    folder = home / "project"
    for part in PARTS:
        shutil.copytree(PROJECT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / "prefect.yaml", folder)
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == HERE:
            item.add_marker(pytest.mark.server)
            item.add_marker(pytest.mark.timeout(900))
    items.sort(key=lambda item: item.path.name == "test_server_restart.py")
