"""Settings of the process before Prefect is imported: environment variables and the garbage collector."""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from pareta_batch import logs_are_json

is_command: ContextVar[bool] = ContextVar("is_command", default=False)
"""Whether this process is a command, and not another program that calls one."""


def disable_prefect_telemetry() -> None:
    """Set the variables that keep Prefect from sending usage data, before a command imports it; set ones stay."""
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    os.environ.setdefault("DO_NOT_TRACK", "1")


def prepare_prefect(*, verbose: bool = False) -> None:
    """Set defaults for start and logging of Prefect under a terminal; the environment takes precedence."""
    # Without an API a command runs without a server: Prefect must not start its embedded one.
    os.environ.setdefault("PREFECT_SERVER_ALLOW_EPHEMERAL_MODE", "false")
    if not verbose and not logs_are_json():
        # The terminal shows progress and the result; the log still goes to the Prefect API.
        os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")


def start_without_prefect(*, verbose: bool) -> None:
    """Leave Prefect out of a command that has no API and shows no log lines, before its flow is imported."""
    if is_command.get() and not verbose and not logs_are_json():
        from tasks import leave_prefect_out

        leave_prefect_out()


@contextmanager
def without_gc() -> Iterator[None]:
    """Collect no garbage while the body imports.

    The imports create half a million objects that stay; to look at them again and again takes a sixth of the start.
    """
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()
