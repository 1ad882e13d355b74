"""The life of an endpoint: one of a name, whoever is killed when, and none left live."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from prefect import flow

from flows.deploy_endpoint import deploy_endpoint, serving
from flows.parameters import Deployment
from flows.run_pipeline import run_pipeline
from flows.stop_idle_endpoints import stop_idle_endpoints
from pareta_client import Pareta
from pareta_sandbox.faults.kinds import DeployFails, DeployStreamCut, Latency
from pareta_sandbox.testing import Sandbox
from tests.flows.forked import WITHIN_S, running_pipeline
from tests.flows.test_idle_endpoints import guard
from tests.flows.test_run_pipeline import pipeline, statuses

ROWS = 12
SMOKE_CALL = 1


def until(look: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not look():
        assert time.monotonic() < deadline, "the pipeline did not come so far"
        time.sleep(0.02)


def while_it_deploys(pareta: Sandbox) -> Callable[[], bool]:
    pareta.change(deploy_s=600)
    return lambda: statuses() == ["starting"]


def while_it_starts(pareta: Sandbox) -> Callable[[], bool]:
    with Pareta.from_env() as client:
        there = client.endpoints.deploy(task="sentiment-classification", name="reviews", wait=True)
        client.endpoints.stop(str(there.id))
    pareta.change(cold_start_s=600)
    return lambda: statuses() == ["starting"]


def while_it_serves(pareta: Sandbox) -> Callable[[], bool]:
    pareta.change(latency_ms=150)
    return lambda: pareta.books().completions >= 4


def while_it_is_being_stopped(pareta: Sandbox) -> Callable[[], bool]:
    # It was listed and read before.
    stopping = pareta.inject(Latency(route="endpoints", ms=600_000, skip=2))
    return lambda: pareta.hits(stopping) == 1 and pareta.books().completions == ROWS + SMOKE_CALL


def bring_up_what_is_starting(pareta: Sandbox) -> None:
    """Complete the start of the endpoint that a killed run had begun."""
    pareta.clear_faults()
    pareta.change(latency_ms=2, deploy_s=0.05, cold_start_s=0)
    with Pareta.from_env() as client:
        (ours,) = [each for each in client.endpoints.list() if each.name == "reviews"]
    if ours.status == "starting":
        pareta.stop_endpoint(str(ours.id))
        pareta.start_endpoint(str(ours.id))


@pytest.mark.parametrize(
    "stage",
    [
        pytest.param(while_it_deploys, marks=pytest.mark.long),
        pytest.param(while_it_starts, marks=pytest.mark.long),
        while_it_serves,
        pytest.param(while_it_is_being_stopped, marks=pytest.mark.long),
    ],
    ids=lambda each: each.__name__,
)
async def test_a_pipeline_killed_at_any_stage_and_run_again_has_one_endpoint_and_leaves_it_stopped(
    stage: Callable[[Sandbox], Callable[[], bool]], pareta: Sandbox, tmp_path: Path
) -> None:
    work = pipeline(tmp_path, comparisons=())
    there_yet = stage(pareta)
    with running_pipeline(work) as running:
        running.until(there_yet)
    bring_up_what_is_starting(pareta)
    assert statuses() == ["live"]
    report = await run_pipeline(work)
    assert (report.batch.settled, statuses()) == (ROWS, ["stopped"])
    pareta.debited_once()


@pytest.mark.long
async def test_what_a_killed_pipeline_leaves_live_is_stopped_by_the_guard(pareta: Sandbox, tmp_path: Path) -> None:
    there_yet = while_it_serves(pareta)
    with running_pipeline(pipeline(tmp_path, comparisons=())) as running:
        running.until(there_yet)
    assert statuses() == ["live"]
    # A call that was in flight when it was killed would be activity between the two looks.
    until(lambda: pareta.books().in_flight == 0)
    await stop_idle_endpoints(guard("reviews"))
    assert len(await stop_idle_endpoints(guard("reviews"))) == 1
    assert statuses() == ["stopped"]


DEPLOYMENT = Deployment(name="reviews", task="sentiment-classification")


@flow
async def serve(*, stop: bool = True) -> None:
    async with serving(DEPLOYMENT, stop=stop):
        pass


async def test_two_runs_that_deploy_at_the_same_time_share_one_endpoint(pareta: Sandbox) -> None:
    pareta.change(deploy_s=0.5)
    await asyncio.gather(deploy_endpoint(DEPLOYMENT), deploy_endpoint(DEPLOYMENT))
    assert statuses() == ["live"]


async def test_a_run_cancelled_while_it_deploys_stops_what_the_service_goes_on_with(pareta: Sandbox) -> None:
    pareta.change(deploy_s=600)
    running = asyncio.ensure_future(serve())
    await asyncio.to_thread(until, lambda: statuses() == ["starting"])
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert statuses() == ["stopped"]


async def test_a_cut_deploy_is_looked_for_and_never_deployed_again(pareta: Sandbox) -> None:
    pareta.inject(DeployStreamCut(at_pct=30))
    await serve(stop=False)
    assert (statuses(), pareta.books().requests["POST /v1/endpoints"]) == (["live"], 1)


async def test_a_deploy_that_the_service_gives_up_is_tried_once_and_its_reason_told(pareta: Sandbox) -> None:
    pareta.inject(DeployFails(error="no capacity in any region"))
    state = await deploy_endpoint(DEPLOYMENT, return_state=True)
    assert (state.name, pareta.books().requests["POST /v1/endpoints"]) == ("DeploymentFailed", 1)
    assert "no capacity in any region" in (state.message or "")


async def test_an_endpoint_that_somebody_deleted_meanwhile_need_not_be_stopped(pareta: Sandbox) -> None:
    @flow
    async def deleted_half_way() -> None:
        async with serving(DEPLOYMENT, stop=True) as endpoint_id:
            with Pareta.from_env() as client:
                client.endpoints.delete(endpoint_id)

    await deleted_half_way()
    assert statuses() == []
