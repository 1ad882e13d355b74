"""Prefect flows that a user runs, schedules or triggers: one file a flow, each a table of contents.

Deployments name these modules, so their paths are the public interface. No HTTP, SQL or arithmetic belongs here.
"""

__all__: list[str] = []
