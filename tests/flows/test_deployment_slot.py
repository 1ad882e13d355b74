"""The slot of a deployment with a concurrency limit: a run that loses it goes on."""

import asyncio
from typing import Any

import pytest
from prefect import Flow, flow, get_client
from prefect.client.schemas.objects import FlowRun
from prefect.concurrency import _leases
from prefect.context import FlowRunContext
from prefect.flow_engine import run_flow_async
from prefect.states import Pending

from flows.outcomes import named_outcome


@pytest.fixture
def renewing_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Renew leases every third of a second instead of every 225."""
    monkeypatch.setattr(_leases, "_RENEWAL_FRACTION", 0.001)
    monkeypatch.setattr(_leases, "_RENEWAL_RETRY_BASE_DELAY", 0.01)


async def lose_the_slot() -> None:
    """Release the deployment slot of this run, as a server does after a long downtime."""
    context = FlowRunContext.get()
    assert context is not None
    assert context.flow_run is not None
    assert context.flow_run.state is not None
    slot = context.flow_run.state.state_details.deployment_concurrency_lease_id
    assert slot is not None
    async with get_client() as client:
        await client.release_concurrency_slots_with_lease(slot)


async def taken_by_a_worker(work: Flow[..., Any]) -> FlowRun:
    """Deploy a flow, one run at a time, and return a run of it that holds its slot."""
    async with get_client() as client:
        deployed = await client.create_deployment(await client.create_flow(work), "one-at-a-time", concurrency_limit=1)
        run = await client.create_flow_run_from_deployment(deployed)
        await client.set_flow_run_state(run.id, Pending())
        return await client.read_flow_run(run.id)


async def test_a_run_that_loses_the_slot_of_its_deployment_goes_on_and_says_so(
    prefect_server: None, renewing_often: None, caplog: pytest.LogCaptureFixture
) -> None:
    @flow
    @named_outcome
    async def open_sending_session() -> str:
        await lose_the_slot()
        while "Execution will continue" not in caplog.text:  # noqa: ASYNC110 - the thread that renews tells nobody
            await asyncio.sleep(0.02)
        return "all of it"

    async with asyncio.timeout(60):
        result: Any = await run_flow_async(open_sending_session, await taken_by_a_worker(open_sending_session))
    assert result == "all of it"
