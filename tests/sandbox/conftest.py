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
    """Open an HTTP client of the sandbox of the test."""
    with talk.client(sandbox) as opened:
        yield opened
