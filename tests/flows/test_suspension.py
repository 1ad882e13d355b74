"""Runs that were suspended for want of credit, resumed by the name of their batch."""

from uuid import UUID

import pytest
from prefect import flow, get_client
from prefect.client.schemas.objects import State, StateType
from prefect.states import Paused

from flows.suspension import resume_suspended


@flow
def anything() -> None:
    """Stand in for a flow that is suspended."""


async def suspended(batch: str) -> UUID:
    # Not rescheduled: there is no deployment here whose worker could take it.
    state: State[None] = Paused(name="Suspended", timeout_seconds=600, reschedule=False)
    async with get_client() as client:
        run = await client.create_flow_run(anything, tags=[f"batch:{batch}"], state=state)
    return run.id


async def state_of(run: UUID) -> StateType | None:
    async with get_client() as client:
        return (await client.read_flow_run(run)).state_type


async def test_the_suspended_runs_of_a_batch_are_resumed_and_no_others(
    pareta: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, other = await suspended("tickets"), await suspended("other")
    assert len(resume_suspended("tickets")) == 1
    assert await state_of(mine) is not StateType.PAUSED
    assert await state_of(other) is StateType.PAUSED
    assert resume_suspended("tickets") == []
