"""Tasks of the cost guard: read how much our live endpoints are used, and remember it until the next look."""

import json
from datetime import datetime

from prefect import get_run_logger, task
from prefect.artifacts import Artifact, acreate_table_artifact
from prefect.cache_policies import NO_CACHE

from pareta_batch import id_of
from pareta_client import Endpoint
from tasks.artifacts import artifact_key
from tasks.idle_policy import ActivityReading, read_again, readings_in
from tasks.resources import shared_client
from tasks.retries import RETRIES


@task(task_run_name="activity of {name_prefix}*", cache_policy=NO_CACHE, **RETRIES)
async def read_activity(name_prefix: str, now: datetime) -> list[ActivityReading]:
    """Read how often each live endpoint of ours was asked."""
    earlier = await _last_readings(name_prefix)
    readings = []
    async with shared_client() as pareta:
        for endpoint in await pareta.endpoints.list():
            if not endpoint.is_live or not (endpoint.name or "").startswith(name_prefix):
                continue
            activity = await pareta.endpoints.metrics(id_of(endpoint)).activity()
            requests = activity.get("requests") if isinstance(activity, dict) else None
            if not isinstance(requests, int):
                _not_told(endpoint)
                requests = None
            before = earlier.get(id_of(endpoint))
            readings.append(read_again(before, id_of(endpoint), str(endpoint.name), requests, now))
    return readings


@task(task_run_name="remember activity of {name_prefix}*", cache_policy=NO_CACHE)
async def save_activity(name_prefix: str, readings: list[ActivityReading], now: datetime) -> None:
    """Leave the readings as a table: a person sees them, and the next look begins from them."""
    rows = [reading.row(now) for reading in readings]
    await acreate_table_artifact(rows, key=_key(name_prefix), description="Live endpoints, and since when unused")


async def _last_readings(name_prefix: str) -> dict[str, ActivityReading]:
    found = await Artifact.aget(key=_key(name_prefix))
    if found is None or not isinstance(found.data, str):
        return {}
    return readings_in(json.loads(found.data))


def _key(name_prefix: str) -> str:
    return artifact_key("activity", name_prefix)


def _not_told(endpoint: Endpoint) -> None:
    get_run_logger().warning("the service does not tell how much %s is used: it is never idle", endpoint.id)
