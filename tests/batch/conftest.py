"""A ledger of the test's own: SQLite in its folder, or a database of PostgreSQL (`on_both_databases`)."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pyarrow import fs

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


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """The address of a local S3 server with an empty bucket."""
    pytest.importorskip("moto")
    pytest.importorskip("flask_cors")
    from tests.batch.object_store import s3_server

    with s3_server() as at:
        yield at


@pytest.fixture
def bucket(address: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[fs.FileSystem]:
    """An empty bucket on that server, which the environment names."""
    from tests.batch.object_store import BUCKET, SETTINGS, bucket_at

    for name, value in {**SETTINGS, "AWS_ENDPOINT_URL": address}.items():
        monkeypatch.setenv(name, value)
    store = bucket_at(address)
    yield store
    store.delete_dir_contents(BUCKET)
