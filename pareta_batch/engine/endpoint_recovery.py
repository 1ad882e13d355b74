"""Finding an endpoint, and waiting for it: start it when it is stopped, poll until it is live or too late."""

import asyncio

from pareta_client import AsyncPareta, ConflictError, Endpoint, EndpointWaitTimeoutError

LONGEST_POLL_S = 10.0
STARTING_SHOWS_S = 10.0
"""An endpoint that somebody else starts is not said to be stopped for longer than this."""


async def endpoint_named(pareta: AsyncPareta, name: str, task: str) -> Endpoint | None:
    """Find the endpoint of this name and task, if there is one."""
    for endpoint in await pareta.endpoints.list():
        # Services say the task's id in either field, and its title in the other.
        if endpoint.name == name and task in (endpoint.get("task"), endpoint.get("taskName")):
            return endpoint
    return None


async def wait_until_live(pareta: AsyncPareta, endpoint_id: str, *, deadline_s: float) -> Endpoint:
    """Return the endpoint once it is live, having started it once if it was stopped.

    Raises EndpointWaitTimeoutError after `deadline_s` seconds, much sooner for one that may not be started, and what
    else the client raises.
    """
    endpoint = await pareta.endpoints.retrieve(endpoint_id)
    if endpoint.is_live:
        return endpoint
    if endpoint.status == "stopped":
        try:
            await pareta.endpoints.start(endpoint_id)
        except ConflictError as refused:
            await _started_by_somebody_else(pareta, endpoint_id, refused, within_s=min(STARTING_SHOWS_S, deadline_s))
    return await pareta.endpoints.wait_until_live(endpoint_id, poll_interval=LONGEST_POLL_S, timeout=deadline_s)


async def _started_by_somebody_else(
    pareta: AsyncPareta, endpoint_id: str, refused: ConflictError, *, within_s: float
) -> None:
    """Return once it is stopped no more; a service refuses a start beside another one, and one that it never allows."""
    try:
        await pareta.endpoints.wait_until_live(endpoint_id, timeout=within_s)
    except EndpointWaitTimeoutError as late:
        if late.status == "stopped":
            stays = f"stopped, and the service refuses to start it: {refused}"
            raise EndpointWaitTimeoutError(endpoint_id, waited=late.waited, status=stays) from refused


class EndpointRecovery:
    """Brings one endpoint back for everybody: one start and one wait, however many calls found it not ready."""

    def __init__(self, pareta: AsyncPareta, endpoint_id: str, *, deadline_s: float) -> None:
        self._pareta = pareta
        self._endpoint_id = endpoint_id
        self._deadline_s = deadline_s
        self._under_way: asyncio.Task[Endpoint] | None = None

    async def recover(self) -> None:
        """Return once the endpoint is live again; raises as `wait_until_live`."""
        if self._under_way is None or self._under_way.done():
            waiting = wait_until_live(self._pareta, self._endpoint_id, deadline_s=self._deadline_s)
            self._under_way = asyncio.create_task(waiting)
        await asyncio.shield(self._under_way)

    def give_up(self) -> None:
        """Wait no longer."""
        if self._under_way is not None:
            self._under_way.cancel()
