"""Members of a run on a work pool, as the run of the batch waits for them."""

import asyncio
from pathlib import Path
from uuid import UUID

import pytest
from prefect import flow, get_client
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun
from prefect.settings import get_current_settings
from prefect.states import Completed, Running

from pareta_batch.processes import MAX_PROCESSES
from pareta_sandbox.testing import Sandbox
from tasks import pool
from tests.flows.datasets import batch


@flow
def member() -> None:
    """Stand in for the flow of a member."""


async def started() -> UUID:
    async with get_client() as client:
        return (await client.create_flow_run(member, state=Running())).id


async def test_a_member_whose_run_was_deleted_holds_no_batch(pareta: Sandbox, tmp_path: Path) -> None:
    deleted, other = await started(), await started()
    waiting = asyncio.create_task(pool._wait(batch(tmp_path), [deleted, other], lambda: False))
    async with get_client() as client:
        await client.delete_flow_run(deleted)
        await client.set_flow_run_state(other, Completed())
    async with asyncio.timeout(30):
        await waiting


async def test_more_members_than_a_page_of_the_server_are_read(
    pareta: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert get_current_settings().server.api.default_limit >= pool.RUNS_PER_PAGE
    monkeypatch.setattr(pool, "RUNS_PER_PAGE", 2)
    runs = [await started() for _ in range(5)]
    assert {run.id for run in await pool._read(runs) or ()} == set(runs)


async def test_a_page_is_what_one_request_returns(pareta: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    async def read(_: object, flow_run_filter: FlowRunFilter) -> list[FlowRun]:
        assert flow_run_filter.id is not None
        asked.append(len(flow_run_filter.id.any_ or ()))
        return []

    monkeypatch.setattr(PrefectClient, "read_flow_runs", read)
    assert await pool._read([UUID(int=number) for number in range(MAX_PROCESSES)]) == []
    assert asked == [200, 200, 112]
