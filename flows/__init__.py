"""Prefect flows that a person runs, schedules or triggers: one file a flow, each a table of contents.

Deployments name these modules, so their paths are the public interface. No HTTP, no SQL and no arithmetic.
"""

__all__: list[str] = []
