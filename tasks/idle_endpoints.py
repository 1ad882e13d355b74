"""Tasks of the cost guard: read the activity of live endpoints, and keep it for the next reading."""

import json
from datetime import datetime

from prefect.artifacts import Artifact, acreate_table_artifact

from pareta_batch import id_of
from tasks.artifacts import artifact_key
from tasks.clients import current_credentials
from tasks.direct import NEEDS_API, run_logger, task, uses_prefect
from tasks.idle_policy import ActivityReading, next_reading, readings_in
from tasks.resources import shared_client
from tasks.retries import RETRIES


@task(task_run_name="activity of {name_prefix}*", **RETRIES)
async def read_activity(name_prefix: str, now: datetime) -> list[ActivityReading]:
    """Return the request count of each live endpoint with the name prefix."""
    earlier = await _last_readings(name_prefix)
    readings = []
    async with shared_client() as pareta:
        for endpoint in await pareta.endpoints.list():
            if not endpoint.is_live or not (endpoint.name or "").startswith(name_prefix):
                continue
            activity = await pareta.endpoints.metrics(id_of(endpoint)).activity()
            requests = activity.get("requests") if isinstance(activity, dict) else None
            if not isinstance(requests, int):
                warning = "endpoint %s: the service reports no request count, so it is never idle"
                run_logger().warning(warning, endpoint.id)
                requests = None
            before = earlier.get(id_of(endpoint))
            readings.append(next_reading(before, id_of(endpoint), str(endpoint.name), requests, now))
    return readings


@task(task_run_name="remember activity of {name_prefix}*")
async def save_activity(name_prefix: str, readings: list[ActivityReading], now: datetime) -> None:
    """Publish the readings as a table artifact, from which the next run loads them."""
    if not uses_prefect():
        run_logger().warning("readings of %s* are not kept: %s", name_prefix, NEEDS_API)
        return
    rows = [reading.row(now) for reading in readings]
    await acreate_table_artifact(rows, key=_key(name_prefix), description="Live endpoints and their last use")


async def _last_readings(name_prefix: str) -> dict[str, ActivityReading]:
    if not uses_prefect():
        return {}
    found = await Artifact.aget(key=_key(name_prefix))
    if found is None or not isinstance(found.data, str):
        return {}
    return readings_in(json.loads(found.data))


def _key(name_prefix: str) -> str:
    account = current_credentials()
    return artifact_key("activity", f"{account}/{name_prefix}" if account else name_prefix)
