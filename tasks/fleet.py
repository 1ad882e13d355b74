"""The fleet limit: a Prefect global concurrency limit per endpoint bounds the calls in flight of all runs together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prefect import get_client, get_run_logger
from prefect.concurrency.asyncio import concurrency
from prefect.exceptions import ObjectNotFound

from pareta_batch.batch import Batch

# The shortest that Prefect takes: a killed run's slots come back a minute later.
LEASE_S = 60


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


async def _limit(name: str) -> int | None:
    async with get_client() as client:
        try:
            found = await client.read_global_concurrency_limit_by_name(name)
        except ObjectNotFound:
            return None
    return found.limit if found.active else None
