"""The concurrency limit of one endpoint: its slots, held by a run as long as it sends."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from uuid import UUID

import httpx
import pytest
from prefect import flow, get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate

from flows.complete_batch import complete_batch
from pareta_sandbox.testing import Sandbox
from tasks.endpoint_slots import InitialSlots, Limit, lease_slots, limit_name
from tasks.resources import open_sending_session
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
        async with lease_slots(batch(tmp_path, max_in_flight=1)) as share:
            assert share is not None
            return share.used, await active_slots()

    assert await holding() == (1, 1)
    assert await active_slots() == 0


async def size(limit: int) -> None:
    async with get_client() as client:
        await client.upsert_global_concurrency_limit_by_name(LIMIT, limit)


async def seen(look: Callable[[], Awaitable[object]], wanted: object) -> None:
    async with asyncio.timeout(30):
        while await look() != wanted:  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(0.02)


POLL_S = 0.02


async def test_a_run_that_sends_follows_its_limit_down_and_up_to_what_it_has_use_for(
    two_slots: None, pareta: Sandbox, tmp_path: Path
) -> None:
    @flow
    async def following() -> None:
        async with open_sending_session(batch(tmp_path, max_in_flight=8), slot_poll_s=POLL_S) as session:

            async def share_and_slots() -> tuple[int, int]:
                return session.allotment, await active_slots()

            # Slots that it holds, it keeps to its end; those that are new, it takes.
            for limit, share, slots in ((2, 2, 2), (1, 1, 2), (6, 6, 6), (20, 8, 8), (4, 4, 8)):
                await size(limit)
                await seen(share_and_slots, (share, slots))

    await following()
    assert await active_slots() == 0


async def test_a_run_takes_no_new_slots_that_others_hold(two_slots: None, tmp_path: Path) -> None:
    @flow
    async def growing() -> None:
        async with lease_slots(batch(tmp_path, max_in_flight=8), POLL_S) as share:
            assert share is not None

            async def held_and_active() -> tuple[int, int]:
                return share.held, await active_slots()

            async with get_client() as client:
                # In one request, or the run is faster than the others: four more slots, three of them already held.
                await client.update_global_concurrency_limit(
                    LIMIT, GlobalConcurrencyLimitUpdate(limit=6, active_slots=5)
                )
                await seen(held_and_active, (3, 6))
                await client.release_concurrency_slots([LIMIT], 3, 1.0)
            await seen(held_and_active, (6, 6))

    await growing()


async def test_a_run_that_waits_for_more_slots_than_the_limit_now_has_waits_for_fewer(
    two_slots: None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def said() -> bool:
        return "waiting for 2 of the 2 slots" in caplog.text

    @flow
    async def waiting() -> int:
        async with lease_slots(batch(tmp_path, max_in_flight=2), POLL_S) as share:
            assert share is not None
            return share.used

    async with get_client() as client:
        await client.increment_concurrency_slots([LIMIT], 1, mode="concurrency")
        run = asyncio.create_task(waiting())
        await seen(said, True)
        await size(1)
        await client.release_concurrency_slots([LIMIT], 1, 1.0)
    assert await run == 1
    assert "waiting for 1 of the 1 slots" in caplog.text


@pytest.mark.parametrize(
    ("limit", "share"), [(4, 4), (2, 2), (0, 1), (3, 3), (6, 6), (100, 8), (None, 8)], ids=lambda given: f"{given}"
)
def test_a_run_that_began_with_the_whole_limit_goes_with_it_up_to_what_it_has_use_for(
    limit: int | None, share: int
) -> None:
    assert InitialSlots(slots=4, limit=4, max_slots=8).allotment(None if limit is None else Limit(limit, 0)) == share


@pytest.mark.parametrize(("limit", "share"), [(8, 4), (4, 2), (1, 1), (16, 4)])
def test_a_run_that_began_with_half_the_limit_keeps_to_a_half(limit: int, share: int) -> None:
    assert InitialSlots(slots=4, limit=8, max_slots=4).allotment(Limit(limit, 0)) == share


async def test_slots_that_cannot_be_given_back_do_not_end_a_batch_that_was_sent(
    two_slots: None, pareta: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def away(lease_id: UUID) -> None:
        raise httpx.ConnectError("nobody there")

    monkeypatch.setattr("prefect.concurrency._asyncio.arelease_concurrency_slots_with_lease", away)
    assert (await complete_batch(batch(tmp_path))).status == "completed"
    assert "not released, they expire in 60 s: nobody there" in caplog.text
    assert (tmp_path / "answers.jsonl").exists()


async def test_without_a_limit_the_run_is_bounded_by_itself_alone_and_says_so(
    pareta: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert (await complete_batch(batch(tmp_path))).settled == 12
    assert caplog.text.count(f"no concurrency limit {LIMIT}") == 1
