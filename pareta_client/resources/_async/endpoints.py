"""`client.endpoints`."""

# ruff: noqa: ASYNC109 - `timeout` is part of the public API

from typing import Any, Literal, overload

from pareta_client.core import Progress, deploy_events
from pareta_client.models.endpoints import DeployEvent, Endpoint
from pareta_client.operations import endpoints as calls
from pareta_client.resources.base import AsyncResource
from pareta_client.transport import AsyncDispatcher, AsyncStream


class AsyncMetrics(AsyncResource):
    """Raw metrics of one endpoint; parameters such as `window="24h"` are sent unchanged."""

    def __init__(self, dispatcher: AsyncDispatcher, endpoint_id: str) -> None:
        super().__init__(dispatcher)
        self._endpoint_id = endpoint_id

    async def performance(self, **params: Any) -> Any:
        """Fetch latencies (p50, p95, p99)."""
        return await self._read("performance", params)

    async def uptime(self, **params: Any) -> Any:
        """Fetch availability over time."""
        return await self._read("uptime", params)

    async def cost(self, **params: Any) -> Any:
        """Fetch the cost, and the cost of the frontier model for the same calls, in micro-USD."""
        return await self._read("cost", params)

    async def quality(self, **params: Any) -> Any:
        """Fetch judged quality over time."""
        return await self._read("quality", params)

    async def activity(self, **params: Any) -> Any:
        """Fetch the activity log."""
        return await self._read("activity", params)

    async def _read(self, dimension: str, params: dict[str, Any]) -> Any:
        return await self._run(calls.measure(self._endpoint_id, dimension, params, self._settings))


class AsyncEndpoints(AsyncResource):
    """Deployed models."""

    @overload
    async def deploy(
        self,
        *,
        task: str,
        model: str = "recommended",
        name: str | None = None,
        wait: Literal[False] = False,
        idempotency_key: str | None = None,
        **extra: Any,
    ) -> AsyncStream[DeployEvent]: ...

    @overload
    async def deploy(
        self,
        *,
        task: str,
        model: str = "recommended",
        name: str | None = None,
        wait: Literal[True],
        idempotency_key: str | None = None,
        **extra: Any,
    ) -> Endpoint: ...

    @overload
    async def deploy(
        self,
        *,
        task: str,
        model: str = "recommended",
        name: str | None = None,
        wait: bool,
        idempotency_key: str | None = None,
        **extra: Any,
    ) -> Endpoint | AsyncStream[DeployEvent]: ...

    async def deploy(
        self,
        *,
        task: str,
        model: str = "recommended",
        name: str | None = None,
        wait: bool = False,
        idempotency_key: str | None = None,
        **extra: Any,
    ) -> Endpoint | AsyncStream[DeployEvent]:
        """Deploy a model for a task.

        Without `wait` the result is an iterator of `{"event", "data"}`; the request is sent with the first iteration.
        With `wait=True` the result is the live endpoint.

        Raises:
            DeployError: the deployment failed.
            APIConnectionError: the progress stream ended early; list the endpoints before deploying again.
        """
        call = calls.deploy_call(task, model, name, extra, self._settings.key(idempotency_key))
        if wait:
            return await self._run(calls.deploy_and_wait(call, self._settings))
        progress = Progress()
        return self._dispatcher.stream(deploy_events(call, self._settings, progress), progress)

    async def wait_until_live(
        self, endpoint_id: str, *, poll_interval: float = calls.POLL_INTERVAL_S, timeout: float = calls.LIVE_TIMEOUT_S
    ) -> Endpoint:
        """Poll until an endpoint is live; times in seconds. Raises EndpointWaitTimeoutError: call again to continue."""
        return await self._run(calls.wait_until_live(endpoint_id, poll_interval, timeout, self._settings))

    async def list(self) -> list[Endpoint]:
        """List the endpoints of the organisation."""
        return await self._run(calls.list_endpoints(self._settings))

    async def retrieve(self, endpoint_id: str) -> Endpoint:
        """Fetch one endpoint."""
        return await self._run(calls.retrieve(endpoint_id, self._settings))

    async def start(self, endpoint_id: str, *, idempotency_key: str | None = None) -> Any:
        """Start a stopped endpoint; return the raw status."""
        key = self._settings.key(idempotency_key)
        return await self._run(calls.operate(endpoint_id, "start", key, self._settings))

    async def stop(self, endpoint_id: str, *, idempotency_key: str | None = None) -> Any:
        """Stop an endpoint, which then costs nothing; return the raw status."""
        key = self._settings.key(idempotency_key)
        return await self._run(calls.operate(endpoint_id, "stop", key, self._settings))

    async def delete(self, endpoint_id: str) -> None:
        """Delete an endpoint."""
        await self._run(calls.remove(endpoint_id, self._settings))

    def metrics(self, endpoint_id: str) -> AsyncMetrics:
        """Return the metrics of an endpoint; each of its methods sends a request."""
        return AsyncMetrics(self._dispatcher, endpoint_id)
