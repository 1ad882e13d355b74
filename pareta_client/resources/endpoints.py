"""`client.endpoints`."""

# ruff: noqa: ASYNC109 - `timeout` is the name that users of the service know

from typing import Any, Literal, overload

from pareta_client.core import Progress, deploy_events
from pareta_client.models.endpoints import DeployEvent, Endpoint
from pareta_client.operations import endpoints as calls
from pareta_client.transport import AsyncDispatcher, AsyncStream, Dispatcher, Stream


class Metrics:
    """Raw metrics of one endpoint; parameters such as `window="24h"` are handed on."""

    def __init__(self, caller: Dispatcher, endpoint_id: str) -> None:
        self._caller = caller
        self._endpoint_id = endpoint_id

    def performance(self, **params: Any) -> Any:
        """Latencies (p50, p95, p99)."""
        return self._read("performance", params)

    def uptime(self, **params: Any) -> Any:
        """Availability over time."""
        return self._read("uptime", params)

    def cost(self, **params: Any) -> Any:
        """What it cost, and what the frontier model would have, in micro-USD."""
        return self._read("cost", params)

    def quality(self, **params: Any) -> Any:
        """Judged quality over time."""
        return self._read("quality", params)

    def activity(self, **params: Any) -> Any:
        """What happened to it."""
        return self._read("activity", params)

    def _read(self, dimension: str, params: dict[str, Any]) -> Any:
        return self._caller.run(calls.measure(self._endpoint_id, dimension, params, self._caller.settings))


class Endpoints:
    """Models deployed for a task."""

    def __init__(self, caller: Dispatcher) -> None:
        self._caller = caller

    @overload
    def deploy(
        self,
        *,
        task: str,
        model: str = "recommended",
        name: str | None = None,
        wait: Literal[False] = False,
        idempotency_key: str | None = None,
        **extra: Any,
    ) -> Stream[DeployEvent]: ...

    @overload
    def deploy(
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
    def deploy(
        self,
        *,
        task: str,
        model: str = "recommended",
        name: str | None = None,
        wait: bool,
        idempotency_key: str | None = None,
        **extra: Any,
    ) -> Endpoint | Stream[DeployEvent]: ...

    def deploy(
        self,
        *,
        task: str,
        model: str = "recommended",
        name: str | None = None,
        wait: bool = False,
        idempotency_key: str | None = None,
        **extra: Any,
    ) -> Endpoint | Stream[DeployEvent]:
        """Deploy a model for a task.

        Without `wait` it gives an iterator of `{"event", "data"}`, whose request is sent when the first is asked for.
        With `wait=True` it gives the live endpoint, and raises DeployError for a deployment that failed and
        APIConnectionError for a progress stream that broke: then look for the endpoint before deploying again.
        """
        settings = self._caller.settings
        call = calls.deploy_call(task, model, name, extra, settings.key(idempotency_key))
        if wait:
            return self._caller.run(calls.deploy_and_wait(call, settings))
        progress = Progress()
        return self._caller.stream(deploy_events(call, settings, progress), progress)

    def wait_until_live(
        self, endpoint_id: str, *, poll_interval: float = calls.POLL_INTERVAL, timeout: float = calls.LIVE_WITHIN
    ) -> Endpoint:
        """Poll until an endpoint answers; seconds. Raises EndpointWaitTimeoutError, after which one may wait again."""
        return self._caller.run(calls.wait_until_live(endpoint_id, poll_interval, timeout, self._caller.settings))

    def list(self) -> list[Endpoint]:
        """List the endpoints of the organisation."""
        return self._caller.run(calls.list_endpoints(self._caller.settings))

    def retrieve(self, endpoint_id: str) -> Endpoint:
        """Read one endpoint."""
        return self._caller.run(calls.retrieve(endpoint_id, self._caller.settings))

    def start(self, endpoint_id: str, *, idempotency_key: str | None = None) -> Any:
        """Start a stopped endpoint; gives the raw status."""
        settings = self._caller.settings
        return self._caller.run(calls.operate(endpoint_id, "start", settings.key(idempotency_key), settings))

    def stop(self, endpoint_id: str, *, idempotency_key: str | None = None) -> Any:
        """Stop an endpoint, which then costs nothing; gives the raw status."""
        settings = self._caller.settings
        return self._caller.run(calls.operate(endpoint_id, "stop", settings.key(idempotency_key), settings))

    def delete(self, endpoint_id: str) -> None:
        """Delete an endpoint."""
        self._caller.run(calls.remove(endpoint_id, self._caller.settings))

    def metrics(self, endpoint_id: str) -> Metrics:
        """Give the metrics of an endpoint, each of which is a call of its own; this one sends nothing."""
        return Metrics(self._caller, endpoint_id)


class AsyncMetrics:
    """Raw metrics of one endpoint; parameters such as `window="24h"` are handed on."""

    def __init__(self, caller: AsyncDispatcher, endpoint_id: str) -> None:
        self._caller = caller
        self._endpoint_id = endpoint_id

    async def performance(self, **params: Any) -> Any:
        """Latencies (p50, p95, p99)."""
        return await self._read("performance", params)

    async def uptime(self, **params: Any) -> Any:
        """Availability over time."""
        return await self._read("uptime", params)

    async def cost(self, **params: Any) -> Any:
        """What it cost, and what the frontier model would have, in micro-USD."""
        return await self._read("cost", params)

    async def quality(self, **params: Any) -> Any:
        """Judged quality over time."""
        return await self._read("quality", params)

    async def activity(self, **params: Any) -> Any:
        """What happened to it."""
        return await self._read("activity", params)

    async def _read(self, dimension: str, params: dict[str, Any]) -> Any:
        return await self._caller.run(calls.measure(self._endpoint_id, dimension, params, self._caller.settings))


class AsyncEndpoints:
    """Models deployed for a task."""

    def __init__(self, caller: AsyncDispatcher) -> None:
        self._caller = caller

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

        Without `wait` it gives an iterator of `{"event", "data"}`, whose request is sent when the first is asked for.
        With `wait=True` it gives the live endpoint, and raises DeployError for a deployment that failed and
        APIConnectionError for a progress stream that broke: then look for the endpoint before deploying again.
        """
        settings = self._caller.settings
        call = calls.deploy_call(task, model, name, extra, settings.key(idempotency_key))
        if wait:
            return await self._caller.run(calls.deploy_and_wait(call, settings))
        progress = Progress()
        return self._caller.stream(deploy_events(call, settings, progress), progress)

    async def wait_until_live(
        self, endpoint_id: str, *, poll_interval: float = calls.POLL_INTERVAL, timeout: float = calls.LIVE_WITHIN
    ) -> Endpoint:
        """Poll until an endpoint answers; seconds. Raises EndpointWaitTimeoutError, after which one may wait again."""
        return await self._caller.run(calls.wait_until_live(endpoint_id, poll_interval, timeout, self._caller.settings))

    async def list(self) -> list[Endpoint]:
        """List the endpoints of the organisation."""
        return await self._caller.run(calls.list_endpoints(self._caller.settings))

    async def retrieve(self, endpoint_id: str) -> Endpoint:
        """Read one endpoint."""
        return await self._caller.run(calls.retrieve(endpoint_id, self._caller.settings))

    async def start(self, endpoint_id: str, *, idempotency_key: str | None = None) -> Any:
        """Start a stopped endpoint; gives the raw status."""
        settings = self._caller.settings
        return await self._caller.run(calls.operate(endpoint_id, "start", settings.key(idempotency_key), settings))

    async def stop(self, endpoint_id: str, *, idempotency_key: str | None = None) -> Any:
        """Stop an endpoint, which then costs nothing; gives the raw status."""
        settings = self._caller.settings
        return await self._caller.run(calls.operate(endpoint_id, "stop", settings.key(idempotency_key), settings))

    async def delete(self, endpoint_id: str) -> None:
        """Delete an endpoint."""
        await self._caller.run(calls.remove(endpoint_id, self._caller.settings))

    def metrics(self, endpoint_id: str) -> AsyncMetrics:
        """Give the metrics of an endpoint, each of which is a call of its own; this one sends nothing."""
        return AsyncMetrics(self._caller, endpoint_id)
