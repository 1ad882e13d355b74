"""Waiting for an endpoint: start it when it is stopped, poll until it is live or the deadline has passed."""

import asyncio
import time

from pareta_batch.errors import EndpointNeverReady
from pareta_client import AsyncPareta, Endpoint
from pareta_client.errors import ConflictError

FIRST_POLL_S = 0.25
LONGEST_POLL_S = 10.0


async def wait_until_live(pareta: AsyncPareta, endpoint_id: str, *, deadline_s: float) -> Endpoint:
    """Return the endpoint once it is live, having started it once if it was stopped.

    Raises EndpointNeverReady after `deadline_s` seconds, and what the client raises.
    """
    began = time.monotonic()
    poll_s = FIRST_POLL_S
    endpoint = await pareta.endpoints.retrieve(endpoint_id)
    if endpoint.status == "stopped":
        await _start(pareta, endpoint_id)
    while not endpoint.is_live:
        waited_s = time.monotonic() - began
        if waited_s >= deadline_s:
            raise EndpointNeverReady(endpoint_id, str(endpoint.status), waited_s)
        await asyncio.sleep(min(poll_s, deadline_s - waited_s))
        poll_s = min(poll_s * 1.5, LONGEST_POLL_S)
        endpoint = await pareta.endpoints.retrieve(endpoint_id)
    return endpoint


async def _start(pareta: AsyncPareta, endpoint_id: str) -> None:
    try:
        await pareta.endpoints.start(endpoint_id)
    except ConflictError:
        # Somebody else is starting it at this moment; the polls will see it live.
        return


class Reviver:
    """Brings one endpoint back for everybody: one start and one wait, however many calls found it not ready."""

    def __init__(self, pareta: AsyncPareta, endpoint_id: str, *, deadline_s: float) -> None:
        self._pareta = pareta
        self._endpoint_id = endpoint_id
        self._deadline_s = deadline_s
        self._under_way: asyncio.Task[Endpoint] | None = None

    async def revive(self) -> None:
        """Return once the endpoint is live again; raises as `wait_until_live`."""
        if self._under_way is None or self._under_way.done():
            waiting = wait_until_live(self._pareta, self._endpoint_id, deadline_s=self._deadline_s)
            self._under_way = asyncio.create_task(waiting)
        await asyncio.shield(self._under_way)
