"""Members of a run on a work pool, as the run of the batch waits for them."""

import asyncio
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest
from prefect import flow, get_client
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.settings import get_current_settings
from prefect.states import Completed, Running

from pareta_batch import Member
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
    waiting = asyncio.create_task(pool._wait(batch(tmp_path), {deleted: 0, other: 1}, lambda: False, lambda: {0, 1}))
    async with get_client() as client:
        await client.delete_flow_run(deleted)
        await client.set_flow_run_state(other, Completed())
    async with asyncio.timeout(30):
        await waiting


async def test_a_running_member_without_a_lock_is_ended_and_the_others_are_waited_for(
    pareta: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "POLL_INTERVAL_S", 0.01)
    monkeypatch.setattr(pool, "LOST_AFTER_S", 0.0)
    dead, healthy = await started(), await started()
    waiting = asyncio.create_task(pool._wait(batch(tmp_path), {dead: 0, healthy: 1}, lambda: False, lambda: {1}))
    async with get_client() as client, asyncio.timeout(60):
        while (run := await client.read_flow_run(dead)).state_type is not StateType.CRASHED:
            assert not waiting.done()
        assert run.state is not None
        assert "its lock in the ledger has been gone" in str(run.state.message)
        assert not waiting.done()
        assert (await client.read_flow_run(healthy)).state_type is StateType.RUNNING
        await client.set_flow_run_state(healthy, Completed())
        await waiting


async def test_a_lock_that_is_taken_again_is_no_death(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[FlowRun] = []

    async def end(run: FlowRun, _: object) -> None:
        ended.append(run)

    monkeypatch.setattr(pool, "_set_state", end)
    monkeypatch.setattr(pool, "LOST_AFTER_S", 60.0)
    run, unlocked = FlowRun(flow_id=uuid4(), name="m"), dict[UUID, float]()
    for now, without_lock in ((0.0, [run]), (50.0, [run]), (59.0, []), (61.0, [run]), (120.0, [run])):
        monkeypatch.setattr("time.monotonic", lambda now=now: now)
        await pool._end_lost(batch(tmp_path), without_lock, unlocked)
    assert ended == []
    monkeypatch.setattr("time.monotonic", lambda: 121.0)
    await pool._end_lost(batch(tmp_path), [run], unlocked)
    assert ended == [run]


async def test_an_unreachable_server_or_a_deleted_run_does_not_hide_why_the_members_are_cancelled(
    pareta: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def refuse(*_: object, **__: object) -> None:
        raise httpx.ConnectError("no route to the server")

    async with get_client() as client:
        present = await client.read_flow_run(await started())
        gone = present.model_copy(update={"id": uuid4(), "name": "gone"})
        await pool._cancel([gone, present])
        assert (await client.read_flow_run(present.id)).state_type is StateType.CANCELLING
    monkeypatch.setattr(PrefectClient, "set_flow_run_state", refuse)
    await pool._cancel([present])
    lines = [record.getMessage() for record in caplog.records if "does not become" in record.getMessage()]
    assert [line.partition(" does")[0] for line in lines] == ["member 'gone'", f"member {present.name!r}"]
    assert "ConnectError: no route to the server" in lines[1]


@pytest.mark.parametrize("cancelled", [True, False])
async def test_the_reason_of_the_end_survives_a_server_that_is_away(
    cancelled: bool, pareta: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def start(*_: object) -> UUID:
        return await started()

    async def refuse(*_: object, **__: object) -> None:
        raise httpx.ConnectError("no route to the server")

    def stopped() -> bool:
        monkeypatch.setattr(PrefectClient, "set_flow_run_state", refuse)
        raise asyncio.CancelledError if cancelled else OSError("disk full")

    monkeypatch.setattr(pool, "_start", start)
    with pytest.raises(asyncio.CancelledError if cancelled else OSError):
        await pool.run_on_pool(batch(tmp_path), [Member("run", 0)], "ledger", stopped, lambda: {0})


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
