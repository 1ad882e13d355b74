"""A ledger in a folder of the test's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pareta_batch.ledger import Ledger
from pareta_sandbox.pytest_plugin import sandbox, sandbox_factory  # noqa: F401
from tests.batch.batches import ledger_in


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = ledger_in(tmp_path)
    yield opened
    opened.close()
