"""Stop endpoints of ours that nobody uses, or that are live for too long: a live one costs money."""

from datetime import UTC, datetime, timedelta

from prefect import flow, get_run_logger
from pydantic import ConfigDict, Field

from flows.outcomes import named_outcome
from pareta_batch import Spec
from tasks import IdlePolicy, read_activity, save_activity, shared_client, stop_endpoint


class IdleGuard(Spec):
    """Which endpoints are ours, and when they are idle."""

    model_config = ConfigDict(title="Idle endpoints")

    name_prefix: str = Field(
        min_length=1, title="Name prefix", description="Only endpoints whose name begins so are ever touched"
    )
    idle_minutes: float = Field(
        30.0, ge=0, le=10_080, title="Idle minutes", description="Unused for so long, by the service's activity metric"
    )
    longest_live_minutes: float | None = Field(
        None,
        gt=0,
        le=100_000,
        title="Longest live minutes",
        description="Live for so long, used or not, counted from the first look; by default for as long as it is used",
    )
    dry_run: bool = Field(True, title="Dry run", description="Only say what would be stopped")

    @property
    def patience(self) -> IdlePolicy:
        """How long an endpoint may be idle, and live."""
        live = self.longest_live_minutes
        return IdlePolicy(timedelta(minutes=self.idle_minutes), None if live is None else timedelta(minutes=live))


@flow(name="stop-idle-endpoints", flow_run_name="stop idle {guard.name_prefix}*")
@named_outcome
async def stop_idle_endpoints(guard: IdleGuard) -> tuple[str, ...]:
    """Stop the live endpoints with this prefix that nobody uses, or that are live for too long; give their ids.

    It takes two looks: the first one learns how often an endpoint was asked until then.
    """
    now = datetime.now(UTC)
    async with shared_client():
        readings = await read_activity(guard.name_prefix, now)
        reasons = {each.endpoint: why for each in readings if (why := each.stop_reason(guard.patience, now))}
        for endpoint, why in reasons.items():
            get_run_logger().info("%s: %s%s", endpoint, why, "; dry run: it stays live" if guard.dry_run else "")
            if not guard.dry_run:
                await stop_endpoint(endpoint)
    await save_activity(guard.name_prefix, readings, now)
    return tuple(reasons)
