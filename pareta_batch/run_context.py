"""Fields that identify the present run in log lines, spans and metrics."""

from collections.abc import Mapping
from contextvars import ContextVar

run_fields: ContextVar[Mapping[str, str]] = ContextVar("run_fields", default={})  # noqa: B039 - read-only
"""`flow_run_id` and `batch` of the present context, if they are known."""


def name_run(**fields: str) -> None:
    """Add fields to the present context, and to the copies that tasks and threads make of it."""
    run_fields.set({**run_fields.get(), **fields})
