"""A ledger of the test's own: SQLite in its folder, or a database of PostgreSQL (`on_both_databases`)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pareta_batch.ledger.ledger import Ledger
from pareta_sandbox.pytest_plugin import sandbox, sandbox_factory  # noqa: F401
from tests.batch import postgres


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.Server]:
    """One server for all tests of a process."""
    with postgres.server() as running:
        yield running


@pytest.fixture
def postgres_url(postgres_server: postgres.Server) -> Iterator[str]:
    with postgres_server.database() as url:
        yield url


@pytest.fixture
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a new ledger; tests marked `on_both_databases` run once on SQLite and once on PostgreSQL."""
    if getattr(request, "param", "sqlite") == "postgresql":
        url: str = request.getfixturevalue("postgres_url")
        return url
    return f"sqlite:///{tmp_path / 'ledger.db'}"


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    opened = Ledger.open(ledger_url)
    yield opened
    opened.close()
