"""Fixtures: a sandbox of the service, a ledger in a folder of the test's own, and a Prefect server for the flows."""

from pareta_sandbox.pytest_plugin import sandbox, sandbox_factory  # noqa: F401
from tests.batch.conftest import ledger, ledger_url  # noqa: F401
from tests.flows.conftest import (  # noqa: F401
    _leftovers,
    pareta,
    prefect_server,
    pytest_collection_modifyitems,
    service,
)
