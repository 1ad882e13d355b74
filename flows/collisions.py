"""Collisions of unattended runs: a second run of the same work, and a scheduled run that a later one replaces.

A run of a deployment that meets such a collision ends as Skipped, which is no failure.
Reason: docs/decisions/runs-collide-by-their-batch.md.
"""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pareta_batch import BatchBusy

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun

RUNS_READ = 20
"""Number of runs read per query. Raising it finds an occurrence behind more runs of other schedules."""

WORK_TAGS = frozenset({"batch", "promotion", "watch"})
"""Kinds of tags that name the work of a run."""


def is_unattended(run: "FlowRun | None") -> bool:
    """Check whether a worker started this run: a top-level run of a deployment."""
    return run is not None and run.deployment_id is not None and run.parent_task_run_id is None


async def skip_reason_of_busy(busy: BatchBusy, run: "FlowRun") -> str:
    """Return the collision in words, with the name and the id of the run that holds the work."""
    holder = next(iter(await _running_beside(run)), None)
    named = f"; that is run {holder.name!r} ({holder.id})" if holder else ""
    return f"skipped: {busy.what} is in progress in {busy.owner}{named}; nothing was sent"


async def skip_reason_of_schedule(run: "FlowRun | None") -> str | None:
    """Return why a scheduled run is skipped: a later occurrence of its schedule is due. None if it is not skipped.

    A server or worker that was down for three intervals then starts three runs, of which the latest one works.
    A run that is resumed or retried is never skipped.
    """
    if run is None or not is_unattended(run) or not run.auto_scheduled or run.expected_start_time is None:
        return None
    if run.run_count > 1 or run.empirical_policy.pause_keys:
        return None
    later = next((each for each in await _due_since(run) if _replaces(each, run)), None)
    if later is None:
        return None
    return (
        f"skipped: scheduled for {run.expected_start_time:%Y-%m-%d %H:%M %Z}, and run {later.name!r} ({later.id}) of "
        f"the same schedule has been due since {later.expected_start_time:%Y-%m-%d %H:%M %Z}; nothing was sent"
    )


def _replaces(later: "FlowRun", run: "FlowRun") -> bool:
    from prefect.client.schemas.objects import StateType

    assert later.expected_start_time is not None
    assert run.expected_start_time is not None
    return (
        later.auto_scheduled
        and later.expected_start_time > run.expected_start_time
        and later.state_type is not StateType.CANCELLED
        and _schedule_of(later) == _schedule_of(run)
    )


def _schedule_of(run: "FlowRun") -> object:
    return run.created_by.id if run.created_by else None


async def _due_since(run: "FlowRun") -> "list[FlowRun]":
    from prefect import get_client
    from prefect.client.schemas.filters import FlowRunFilter
    from prefect.client.schemas.sorting import FlowRunSort

    due = FlowRunFilter.model_validate(
        {
            "deployment_id": {"any_": [run.deployment_id]},
            "expected_start_time": {"after_": run.expected_start_time, "before_": datetime.now(UTC)},
        }
    )
    async with get_client() as client:
        return await client.read_flow_runs(
            flow_run_filter=due, sort=FlowRunSort.EXPECTED_START_TIME_DESC, limit=RUNS_READ
        )


async def _running_beside(run: "FlowRun") -> "list[FlowRun]":
    """Return the other running top-level runs with this run's tag of the work, the earliest first."""
    work = [tag for tag in run.tags if tag.partition(":")[0] in WORK_TAGS]
    if not work:
        return []
    from prefect import get_client
    from prefect.client.schemas.filters import FlowRunFilter
    from prefect.client.schemas.sorting import FlowRunSort

    same = FlowRunFilter.model_validate(
        {"tags": {"all_": work}, "state": {"type": {"any_": ["RUNNING"]}}, "id": {"not_any_": [run.id]}}
    )
    async with get_client() as client:
        found = await client.read_flow_runs(flow_run_filter=same, sort=FlowRunSort.START_TIME_ASC, limit=RUNS_READ)
    return sorted(found, key=lambda each: each.parent_task_run_id is not None)
