"""The slot of a deployment with a concurrency limit: a run that loses it goes on."""

import asyncio
import logging
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect import Flow, flow, flow_engine, get_client
from prefect.client.schemas.objects import FlowRun
from prefect.concurrency import _leases
from prefect.context import FlowRunContext
from prefect.flow_engine import run_flow_async
from prefect.states import Pending

from flows.deployment_slot import ignore_lost_deployment_slot
from flows.outcomes import MARK, named_outcome


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
    async def loses_its_slot() -> str:
        await lose_the_slot()
        while "Execution will continue" not in caplog.text:  # noqa: ASYNC110 - the thread that renews tells nobody
            await asyncio.sleep(0.02)
        return "all of it"

    async with asyncio.timeout(60):
        result: Any = await run_flow_async(loses_its_slot, await taken_by_a_worker(loses_its_slot))
    assert result == "all of it"


async def test_prefect_still_needs_the_patch_which_leaves_flows_of_others_alone(
    prefect_server: None, renewing_often: None, caplog: pytest.LogCaptureFixture
) -> None:
    """If this fails because nothing is cancelled any more, delete `flows/deployment_slot.py`."""

    @flow
    async def of_somebody_else() -> str:
        await lose_the_slot()
        await asyncio.sleep(30)
        return "not cancelled"

    async with asyncio.timeout(60):
        with pytest.raises(asyncio.CancelledError):
            await run_flow_async(of_somebody_else, await taken_by_a_worker(of_somebody_else))
    assert "Terminating execution" in caplog.text


def test_the_patch_knows_the_prefect_that_is_installed() -> None:
    assert ignore_lost_deployment_slot()


@pytest.mark.parametrize("version", ["3.7.9", "3.10.0", "4.0.0"])
def test_another_prefect_is_left_as_it_is_and_the_log_says_so(
    version: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(flow_engine, "amaintain_concurrency_lease", its_own := object())
    monkeypatch.setattr(logging.getLogger("prefect"), "propagate", True)
    assert not ignore_lost_deployment_slot(version)
    assert vars(flow_engine)["amaintain_concurrency_lease"] is its_own
    assert f"Prefect {version} is not one of 3.8, 3.9" in caplog.text


def test_every_flow_of_ours_outlives_its_slot() -> None:
    entrypoints = [
        entry["entrypoint"]
        for entry in yaml.safe_load((Path(__file__).parents[2] / "prefect.yaml").read_text())["deployments"]
    ]
    for module, _, name in (entrypoint.rpartition(".") for entrypoint in set(entrypoints)):
        assert getattr(getattr(import_module(module), name).fn, MARK), f"{module}.{name} lacks `named_outcome`"
