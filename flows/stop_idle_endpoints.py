"""Flow that stops endpoints that are idle or live for too long, because a live endpoint costs money."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import ConfigDict, Field

from flows.direct import flow
from flows.forms import OfDeployment, titled
from flows.outcomes import named_outcome
from pareta_batch import CredentialsName, Spec
from tasks import IdlePolicy, read_activity, run_logger, save_activity, shared_client, stop_endpoint


class IdleGuard(Spec):
    """Name prefix of the endpoints to watch, and the limits after which they are stopped."""

    model_config = ConfigDict(title="Idle endpoints")

    name_prefix: str = Field(
        min_length=1, title="Name prefix", description="Only endpoints with this name prefix are stopped"
    )
    idle_minutes: float = Field(
        30.0,
        ge=0,
        le=10_080,
        title="Idle minutes",
        description="Minutes without a request, by the activity metric",
    )
    longest_live_minutes: float | None = Field(
        None,
        gt=0,
        le=100_000,
        title="Longest live minutes",
        description="Maximum minutes live since the first reading, used or not; by default unlimited",
    )
    dry_run: bool = Field(True, title="Dry run", description="Only report the endpoints that would be stopped")
    credentials: CredentialsName = None

    @property
    def policy(self) -> IdlePolicy:
        """Idle time and live time after which an endpoint is stopped."""
        live = self.longest_live_minutes
        return IdlePolicy(timedelta(minutes=self.idle_minutes), None if live is None else timedelta(minutes=live))


@flow(name="stop-idle-endpoints", flow_run_name="stop idle {guard.name_prefix}*")
@named_outcome
async def stop_idle_endpoints(
    guard: Annotated[IdleGuard, OfDeployment("guard"), titled("Idle endpoints")],
) -> tuple[str, ...]:
    """Stop the live endpoints with this prefix that are idle or live for too long, and return their ids.

    An endpoint is stopped at its second reading at the earliest: the first records its request count.

    Args:
        guard: Endpoints to watch and limits. Fields that are not set are those of the deployment.
    """
    now = datetime.now(UTC)
    async with shared_client():
        readings = await read_activity(guard.name_prefix, now)
        reasons = {each.endpoint: reason for each in readings if (reason := each.stop_reason(guard.policy, now))}
        for endpoint, reason in reasons.items():
            run_logger().info("%s: %s%s", endpoint, reason, "; dry run: not stopped" if guard.dry_run else "")
            if not guard.dry_run:
                await stop_endpoint(endpoint)
    await save_activity(guard.name_prefix, readings, now)
    return tuple(reasons)
