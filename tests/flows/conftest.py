"""A Prefect server for the session, and for each test a sandbox, a ledger and a working folder of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.settings import PREFECT_RESULTS_LOCAL_STORAGE_PATH, temporary_settings

from pareta_sandbox.testing import Sandbox, running
from tests.direct import without_a_server
from tests.frozen import collect

ON_PREFECT = {"prefect_server", "either", "mostly_direct"}


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    # Imported here: it imports the server of Prefect, which takes 1 s in each process.
    from prefect.testing.utilities import prefect_test_harness

    results = tmp_path_factory.mktemp("results")
    with (
        temporary_settings({PREFECT_RESULTS_LOCAL_STORAGE_PATH: results}),
        prefect_test_harness(server_startup_timeout=300),
    ):
        yield


@pytest.fixture
def pareta(service: Sandbox, prefect_server: None) -> Sandbox:
    """A service to run against, with flows that are flow runs on the Prefect server."""
    return service


@pytest.fixture
def direct(service: Sandbox) -> Iterator[Sandbox]:
    """A service to run against, with flows that run without a Prefect server."""
    with without_a_server():
        yield service


@pytest.fixture(params=["server", "direct"])
def either(request: pytest.FixtureRequest) -> Sandbox:
    """A service to run against, in both ways."""
    return in_one_way(request)


@pytest.fixture(params=[pytest.param("server", marks=pytest.mark.long), "direct"])
def mostly_direct(request: pytest.FixtureRequest) -> Sandbox:
    """A service to run against, in both ways; on a server in `make check` only, unless a test asks for it."""
    return in_one_way(request)


def in_one_way(request: pytest.FixtureRequest) -> Sandbox:
    """Return the service of the parameter: with flow runs on the Prefect server, or without one."""
    sandbox: Sandbox = request.getfixturevalue("pareta" if request.param == "server" else "direct")
    return sandbox


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A service to run against, reached through the environment as users do."""
    monkeypatch.chdir(tmp_path)
    with running(latency_ms=2, deploy_s=0.05, cold_start_s=0.05, eval_s=0.05) as sandbox:
        monkeypatch.setenv("PARETA_API_KEY", sandbox.api_key)
        monkeypatch.setenv("PARETA_BASE_URL", sandbox.base_url)
        monkeypatch.setenv("PARETA_LEDGER_URL", f"sqlite:///{tmp_path}/ledger.db")
        yield sandbox


@pytest.fixture(autouse=True)
def _leftovers(request: pytest.FixtureRequest) -> Iterator[None]:
    """Collect the connections that Prefect leaves open.

    Twice in a flow run it asks for the default result storage with a client that it does not close
    (`_read_server_default_result_storage_block_id` of 3.9). The client is part of a reference cycle: without this, a
    later test would collect it and fail with its warning.
    """
    yield
    if ON_PREFECT & set(request.fixturenames):
        collect()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if ON_PREFECT & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"))
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed transport:ResourceWarning"))
