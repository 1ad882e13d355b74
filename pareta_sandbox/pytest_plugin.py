"""Fixtures for tests against a sandbox: `pytest_plugins = ["pareta_sandbox.pytest_plugin"]`."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from pareta_sandbox.testing import Sandbox, running

SandboxFactory = Callable[..., Sandbox]


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """Start a separate sandbox for each test, with the fast defaults."""
    with running() as started:
        yield started


@pytest.fixture
def sandbox_factory() -> Iterator[SandboxFactory]:
    """Start sandboxes with options (`sandbox_factory(balance_usd=1)`) and stop them after the test."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(running(**options))
