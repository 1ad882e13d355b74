"""The fleet limit: slots of one endpoint, held by a run as long as it sends."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from prefect import flow, get_client

from flows.complete_batch import complete_batch
from pareta_batch.session import Session
from pareta_sandbox.testing import Sandbox
from tasks.fleet import following_the_limit, limit_name, share_of_fleet
from tasks.shared import working_on
from tests.flows.datasets import batch

LIMIT = limit_name("auto")


@pytest.fixture
async def two_slots(prefect_server: None) -> AsyncIterator[None]:
    async with get_client() as client:
        await client.upsert_global_concurrency_limit_by_name(LIMIT, 2)
        yield
        await client.delete_global_concurrency_limit_by_name(LIMIT)


async def active_slots() -> int:
    async with get_client() as client:
        return (await client.read_global_concurrency_limit_by_name(LIMIT)).active_slots


async def test_a_run_has_no_more_in_flight_than_the_limit_has_slots(
    two_slots: None, pareta: Sandbox, tmp_path: Path
) -> None:
    report = await complete_batch(batch(tmp_path, count=20, max_in_flight=8))
    assert report.settled == 20
    pareta.never_more_in_flight_than(2)
    assert await active_slots() == 0


async def test_slots_are_held_while_the_body_runs(two_slots: None, tmp_path: Path) -> None:
    @flow
    async def holding() -> tuple[int, int]:
        async with share_of_fleet(batch(tmp_path, max_in_flight=1)) as share:
            return share.max_in_flight, await active_slots()

    assert await holding() == (1, 1)
    assert await active_slots() == 0


async def test_a_limit_made_smaller_while_a_run_sends_is_followed_in_proportion(
    two_slots: None, pareta: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.fleet.LOOK_EVERY_S", 0.02)

    async def sized(session: Session, limit: int, share: int) -> None:
        async with get_client() as client:
            await client.upsert_global_concurrency_limit_by_name(LIMIT, limit)
        async with asyncio.timeout(30):
            while session.share != share:  # noqa: ASYNC110 - a session tells nobody of it
                await asyncio.sleep(0.02)

    @flow
    async def sending() -> None:
        work = batch(tmp_path, max_in_flight=8)
        async with working_on(work) as session, following_the_limit(session):
            await sized(session, 1, 4)
            await sized(session, 0, 1)
            await sized(session, 6, 8)

    await sending()


async def test_without_a_limit_the_run_is_bounded_by_itself_alone_and_says_so(
    pareta: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert (await complete_batch(batch(tmp_path))).settled == 12
    assert caplog.text.count(f"no concurrency limit {LIMIT}") == 1
