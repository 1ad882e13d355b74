"""The fleet limit: a Prefect global concurrency limit per endpoint bounds the calls in flight of all runs together."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from prefect import get_client, get_run_logger
from prefect.concurrency.asyncio import concurrency
from prefect.exceptions import ObjectNotFound

from pareta_batch.batch import Batch
from pareta_batch.session import Session

# The shortest that Prefect takes: a killed run's slots come back a minute later.
LEASE_S = 60

LOOK_EVERY_S = 5.0


def limit_name(model: str) -> str:
    """Give the name of an endpoint's limit."""
    return f"pareta:{model}"


@asynccontextmanager
async def share_of_fleet(batch: Batch) -> AsyncIterator[Batch]:
    """Hold slots of the endpoint's limit while the body runs; give the batch, no more in flight than it holds slots.

    Waits for the slots. A missing limit bounds nothing. A lease that is lost on the way does not end a paid batch.
    """
    name = limit_name(batch.model)
    limit = await _limit(name)
    if limit is None:
        get_run_logger().info("no concurrency limit %s: only max_in_flight bounds this run", name)
        yield batch
        return
    # Once per run and all at a time: a slot per request would cost more than the request.
    slots = max(1, min(batch.max_in_flight, limit))
    get_run_logger().info("waiting for %d of the %d slots of %s", slots, limit, name)
    async with concurrency(
        name, occupy=slots, strict=True, lease_duration=LEASE_S, raise_on_lease_renewal_failure=False
    ):
        get_run_logger().info("holding %d slots of %s", slots, name)
        yield batch.model_copy(update={"max_in_flight": slots})


@asynccontextmanager
async def following_the_limit(session: Session) -> AsyncIterator[None]:
    """Have fewer calls in flight when somebody makes the limit smaller while the body runs, in proportion.

    More than it holds slots for, a run never has: a larger limit is for the next one.
    """
    name = limit_name(session.batch.model)
    if limit := await _limit(name):
        following = asyncio.create_task(_follow(name, limit, session))
        try:
            yield
        finally:
            following.cancel()
    else:
        yield


async def _follow(name: str, begun_with: int, session: Session) -> None:
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        try:
            limit = await _limit(name)
        except httpx.HTTPError:
            # The Prefect server is away for a while: a look is missed, and a paid batch goes on.
            continue
        slots = session.batch.max_in_flight
        session.allow(slots if limit is None else slots * limit // begun_with)


async def _limit(name: str) -> int | None:
    async with get_client() as client:
        try:
            found = await client.read_global_concurrency_limit_by_name(name)
        except ObjectNotFound:
            return None
    return found.limit if found.active else None
