"""Finding an endpoint, starting it when it is stopped, and waiting until it is live."""

import asyncio

from pareta_batch.engine.policy import Timing
from pareta_client import AsyncPareta, ConflictError, Endpoint, EndpointWaitTimeoutError

MAX_POLL_INTERVAL_S = 10.0
"""Upper bound of the seconds between two polls; higher polls less and notices a live endpoint later."""


async def endpoint_named(pareta: AsyncPareta, name: str, task: str) -> Endpoint | None:
    """Return the endpoint of this name and task, or None."""
    for endpoint in await pareta.endpoints.list():
        # Services put the task's id in one of these fields, and its title in the other.
        if endpoint.name == name and task in (endpoint.get("task"), endpoint.get("taskName")):
            return endpoint
    return None


async def wait_until_live(
    pareta: AsyncPareta, endpoint_id: str, *, deadline_s: float, other_start_s: float = Timing.other_start_s
) -> Endpoint:
    """Return the endpoint once it is live; a stopped one is started once.

    Raises EndpointWaitTimeoutError after `deadline_s` seconds, or much sooner if starting it is not allowed. Other
    errors of the client pass through.
    """
    endpoint = await pareta.endpoints.retrieve(endpoint_id)
    if endpoint.is_live:
        return endpoint
    if endpoint.status == "stopped":
        try:
            await pareta.endpoints.start(endpoint_id)
        except ConflictError as refused:
            within_s = min(other_start_s, deadline_s)
            await _wait_for_other_start(pareta, endpoint_id, refused, within_s=within_s)
    return await pareta.endpoints.wait_until_live(endpoint_id, poll_interval=MAX_POLL_INTERVAL_S, timeout=deadline_s)


async def _wait_for_other_start(
    pareta: AsyncPareta, endpoint_id: str, refused: ConflictError, *, within_s: float
) -> None:
    """Wait until the endpoint leaves `stopped`.

    A 409 on start means that another start is in progress, or that starting is not allowed.
    """
    try:
        await pareta.endpoints.wait_until_live(endpoint_id, timeout=within_s)
    except EndpointWaitTimeoutError as late:
        if late.status == "stopped":
            status = f"stopped, and the service refuses to start it: {refused}"
            raise EndpointWaitTimeoutError(endpoint_id, waited=late.waited, status=status) from refused


class EndpointRecovery:
    """Recovery of one endpoint, shared by all rows: one start and one wait for any number of waiting calls."""

    def __init__(self, pareta: AsyncPareta, endpoint_id: str, timing: Timing) -> None:
        self._pareta = pareta
        self._endpoint_id = endpoint_id
        self._timing = timing
        self._wait: asyncio.Task[Endpoint] | None = None

    async def recover(self) -> None:
        """Wait until the endpoint is live again; raises as `wait_until_live`."""
        if self._wait is None or self._wait.done():
            limits = {"deadline_s": self._timing.ready_s, "other_start_s": self._timing.other_start_s}
            self._wait = asyncio.create_task(wait_until_live(self._pareta, self._endpoint_id, **limits))
        await asyncio.shield(self._wait)

    def cancel(self) -> None:
        """Cancel the wait."""
        if self._wait is not None:
            self._wait.cancel()
