"""Which scheduled runs are skipped because a later occurrence of their schedule is due."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from prefect.client.schemas.objects import FlowRun, FlowRunPolicy, StateType

from flows import collisions as module
from flows.collisions import is_unattended, skip_reason_of_schedule

NIGHTS, DAYS = UUID(int=1), UUID(int=2)
SUNDAY = datetime(2026, 11, 22, 3, tzinfo=UTC)


def scheduled(at: datetime, schedule: UUID = NIGHTS, **fields: Any) -> FlowRun:
    """Return a run of a schedule."""
    given = {
        "id": uuid4(),
        "name": f"watch of {at:%a}",
        "flow_id": UUID(int=9),
        "deployment_id": UUID(int=8),
        "auto_scheduled": True,
        "expected_start_time": at,
        "run_count": 1,
        "state_type": StateType.RUNNING,
        "created_by": {"id": schedule, "type": "SCHEDULE", "display_value": "nights"},
        **fields,
    }
    return FlowRun(**given)


async def reason(run: FlowRun, *due: FlowRun, monkeypatch: pytest.MonkeyPatch) -> str | None:
    async def due_since(_: FlowRun) -> list[FlowRun]:
        return [run, *due]

    monkeypatch.setattr(module, "_due_since", due_since)
    return await skip_reason_of_schedule(run)


async def test_of_three_missed_occurrences_only_the_latest_works(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [scheduled(SUNDAY + timedelta(days=day)) for day in range(3)]
    reasons = [await reason(run, *runs, monkeypatch=monkeypatch) for run in runs]
    assert [each is None for each in reasons] == [False, False, True]
    assert reasons[0] is not None
    assert "scheduled for 2026-11-22 03:00 UTC" in reasons[0]
    assert str(runs[1].id) in reasons[0]


@pytest.mark.parametrize(
    "later",
    [
        scheduled(SUNDAY + timedelta(days=1), DAYS),
        scheduled(SUNDAY + timedelta(days=1), auto_scheduled=False),
        scheduled(SUNDAY + timedelta(days=1), state_type=StateType.CANCELLED),
        scheduled(SUNDAY - timedelta(days=1)),
    ],
    ids=["another schedule", "started by a person", "cancelled", "earlier"],
)
async def test_other_runs_replace_nothing(later: FlowRun, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await reason(scheduled(SUNDAY), later, monkeypatch=monkeypatch) is None


@pytest.mark.parametrize(
    "run",
    [
        scheduled(SUNDAY, auto_scheduled=False),
        scheduled(SUNDAY, deployment_id=None),
        scheduled(SUNDAY, parent_task_run_id=uuid4()),
        scheduled(SUNDAY, run_count=2),
        scheduled(SUNDAY, empirical_policy=FlowRunPolicy(pause_keys={"resumed"})),
    ],
    ids=["started by a person", "without a deployment", "subflow", "retried", "resumed"],
)
async def test_other_runs_are_never_skipped(run: FlowRun, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await reason(run, scheduled(SUNDAY + timedelta(days=1)), monkeypatch=monkeypatch) is None


def test_only_top_level_runs_of_deployments_are_unattended() -> None:
    assert is_unattended(scheduled(SUNDAY))
    assert not is_unattended(None)
    assert not is_unattended(scheduled(SUNDAY, deployment_id=None))
    assert not is_unattended(scheduled(SUNDAY, parent_task_run_id=uuid4()))
