"""Stop endpoints of ours that nobody has used for a while: a live one costs money."""

from datetime import UTC, datetime, timedelta

from prefect import flow, get_run_logger
from pydantic import BaseModel, ConfigDict, Field

from flows.endings import named_ending
from tasks.endpoints import stop_endpoint
from tasks.idle_endpoints import read_activity, remember_activity
from tasks.shared import connected


class IdleGuard(BaseModel):
    """Which endpoints are ours, and when they are idle."""

    model_config = ConfigDict(title="Idle endpoints", extra="forbid", frozen=True)

    name_prefix: str = Field(
        min_length=1, title="Name prefix", description="Only endpoints whose name begins so are ever touched"
    )
    idle_minutes: float = Field(
        30.0, ge=0, le=10_080, title="Idle minutes", description="Unused for so long, by the service's activity metric"
    )
    dry_run: bool = Field(True, title="Dry run", description="Only say what would be stopped")


@flow(name="stop-idle-endpoints", flow_run_name="stop idle {guard.name_prefix}*")
@named_ending
async def stop_idle_endpoints(guard: IdleGuard) -> tuple[str, ...]:
    """Stop the live endpoints with this prefix whose count of requests has not grown for so long; give their ids.

    An endpoint is idle only from the second look on: the first one learns its count.
    """
    now = datetime.now(UTC)
    async with connected():
        readings = await read_activity(guard.name_prefix, now)
        idle = [each for each in readings if now > each.since and each.idle_for(now) >= _minutes(guard)]
        for each in idle:
            get_run_logger().info(
                "%s (%s) is idle since %s", each.endpoint, each.name, each.since.isoformat("T", "seconds")
            )
            if not guard.dry_run:
                await stop_endpoint(each.endpoint)
    await remember_activity(guard.name_prefix, readings, now)
    return tuple(each.endpoint for each in idle)


def _minutes(guard: IdleGuard) -> timedelta:
    return timedelta(minutes=guard.idle_minutes)
