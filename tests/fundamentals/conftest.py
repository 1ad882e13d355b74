"""Fixtures: a sandbox of the service, and a ledger in a folder of the test's own."""

import pytest

from pareta_sandbox.pytest_plugin import sandbox, sandbox_factory  # noqa: F401
from pareta_sandbox.testing import Sandbox
from tests.batch.conftest import ledger, ledger_url  # noqa: F401
from tests.flows.conftest import (  # noqa: F401
    direct,
    service,
)


@pytest.fixture
def pareta(direct: Sandbox) -> Sandbox:  # noqa: F811 - the fixture of that name
    """A service to run against; the flows run without a Prefect server."""
    return direct
