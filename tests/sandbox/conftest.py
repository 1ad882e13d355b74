"""The sandbox's own fixtures."""

from collections.abc import Iterator

import httpx
import pytest

from pareta_sandbox.pytest_plugin import sandbox, sandbox_factory
from pareta_sandbox.testing import Sandbox
from tests.sandbox import talk

__all__ = ["http", "sandbox", "sandbox_factory"]


@pytest.fixture
def http(sandbox: Sandbox) -> Iterator[httpx.Client]:
    """Give a plain client of the test's sandbox."""
    with talk.client(sandbox) as opened:
        yield opened
