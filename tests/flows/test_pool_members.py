"""Members of a run on a work pool, as the run of the batch waits for them."""

import asyncio
from pathlib import Path
from uuid import UUID

from prefect import flow, get_client
from prefect.states import Completed, Running

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
