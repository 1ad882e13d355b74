"""A Prefect server for the session, and for each test a sandbox, a ledger and a working folder of its own."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.settings import PREFECT_RESULTS_LOCAL_STORAGE_PATH, temporary_settings
from prefect.testing.utilities import prefect_test_harness

from pareta_sandbox.testing import Sandbox, running


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    results = tmp_path_factory.mktemp("results")
    with (
        temporary_settings({PREFECT_RESULTS_LOCAL_STORAGE_PATH: results}),
        prefect_test_harness(server_startup_timeout=90),
    ):
        yield


@pytest.fixture
def pareta(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefect_server: None) -> Iterator[Sandbox]:
    """A service to run against, reached through the environment as users do."""
    monkeypatch.chdir(tmp_path)
    with running(latency_ms=2, deploy_s=0.05, cold_start_s=0.05, eval_s=0.05) as sandbox:
        monkeypatch.setenv("PARETA_API_KEY", sandbox.api_key)
        monkeypatch.setenv("PARETA_BASE_URL", sandbox.base_url)
        monkeypatch.setenv("PARETA_LEDGER_URL", f"sqlite:///{tmp_path}/ledger.db")
        yield sandbox


@pytest.fixture(autouse=True)
def _leftovers(request: pytest.FixtureRequest) -> Iterator[None]:
    """Collect the connection that Prefect leaves open in every flow run.

    It is part of a reference cycle: without this, a later test would collect it and fail with its warning.
    """
    yield
    if "prefect_server" in request.fixturenames:
        gc.collect()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "prefect_server" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"))
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed transport:ResourceWarning"))
