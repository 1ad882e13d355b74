"""How several processes share the tests (`pytest -n 4`): those of one Prefect server stay together, and begin."""

import gc
import os
import signal
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

from tests.frozen import freeze
from tests.statements import share_compiled_statements
from tests.timeouts import pytest_runtest_protocol  # noqa: F401 - a hook

# A shared machine may be slow at any moment; that is not what a property test is about.
ANYWHERE = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("fast", ANYWHERE, max_examples=25)
settings.register_profile("thorough", ANYWHERE, max_examples=100)


def pytest_configure(config: pytest.Config) -> None:
    """Try fewer examples of each property in the fast tests, before a module copies the settings."""
    settings.load_profile("fast" if config.option.markexpr.startswith("not long") else "thorough")


share_compiled_statements()
# Collected tests live as long as the process: to traverse them again and again takes half the time of the collection.
gc.disable()
# Without files of compiled code each of the processes that tests start would compile the whole project.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# All services are on this machine and speak plain HTTP: a client that reads one certificate opens in 1 ms, not 20.
os.environ["SSL_CERT_FILE"] = str(Path(__file__).with_name("certificate.pem"))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Leave modules and tests out of every later garbage collection."""
    try:
        return (yield)
    finally:
        gc.enable()
        freeze()


# Under `nohup`, or in the background of a script, the processes that tests start would ignore these signals too.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ON_A_SERVER = ("end_to_end", "flows")
# Tests of flows that run without a server: any process may run them.
WITHOUT_A_SERVER = (
    *("test_budgets", "test_compare_models", "test_complete_batch", "test_promote_winner"),
    *("test_retry_failed", "test_run_pipeline", "test_watch_quality"),
)


class ByServer(LoadScopeScheduling):  # type: ignore[misc]  # the plugin has no types
    """Gives the tests of one Prefect server to one process, the largest group first, and the others one by one."""

    def _split_scope(self, nodeid: str) -> str:
        _, folder, *rest = nodeid.split("/")
        if folder not in ON_A_SERVER or rest[0].startswith(WITHOUT_A_SERVER):
            return nodeid
        return folder


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByServer:  # the plugin's own logger
    """Share the tests by server."""
    return ByServer(config, log)
