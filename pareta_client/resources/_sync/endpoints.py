# Generated from pareta_client/resources/_async/endpoints.py by `python -m scripts.unasync`: edit that file.
"""`client.endpoints`."""

from typing import Any, Literal, overload

from pareta_client.core import Progress, deploy_events
from pareta_client.models.endpoints import DeployEvent, Endpoint
from pareta_client.operations import endpoints as calls
from pareta_client.resources.base import Resource
from pareta_client.transport import Dispatcher, Stream


class Metrics(Resource):
    """Raw metrics of one endpoint; parameters such as `window="24h"` are sent unchanged."""

    def __init__(self, dispatcher: Dispatcher, endpoint_id: str) -> None:
        super().__init__(dispatcher)
        self._endpoint_id = endpoint_id

    def performance(self, **params: Any) -> Any:
        """Fetch latencies (p50, p95, p99)."""
        return self._read("performance", params)

    def uptime(self, **params: Any) -> Any:
        """Fetch availability over time."""
        return self._read("uptime", params)

    def cost(self, **params: Any) -> Any:
        """Fetch the cost, and the cost of the frontier model for the same calls, in micro-USD."""
        return self._read("cost", params)

    def quality(self, **params: Any) -> Any:
        """Fetch judged quality over time."""
        return self._read("quality", params)

    def activity(self, **params: Any) -> Any:
        """Fetch the activity log."""
        return self._read("activity", params)

    def _read(self, dimension: str, params: dict[str, Any]) -> Any:
        return self._run(calls.measure(self._endpoint_id, dimension, params, self._settings))


class Endpoints(Resource):
    """Deployed models."""

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

        Without `wait` the result is an iterator of `{"event", "data"}`; the request is sent with the first iteration.
        With `wait=True` the result is the live endpoint.

        Raises:
            DeployError: the deployment failed.
            APIConnectionError: the progress stream ended early; list the endpoints before deploying again.
        """
        call = calls.deploy_call(task, model, name, extra, self._settings.key(idempotency_key))
        if wait:
            return self._run(calls.deploy_and_wait(call, self._settings))
        progress = Progress()
        return self._dispatcher.stream(deploy_events(call, self._settings, progress), progress)

    def wait_until_live(
        self, endpoint_id: str, *, poll_interval: float = calls.POLL_INTERVAL_S, timeout: float = calls.LIVE_TIMEOUT_S
    ) -> Endpoint:
        """Poll until an endpoint is live; times in seconds. Raises EndpointWaitTimeoutError: call again to continue."""
        return self._run(calls.wait_until_live(endpoint_id, poll_interval, timeout, self._settings))

    def list(self) -> list[Endpoint]:
        """List the endpoints of the organisation."""
        return self._run(calls.list_endpoints(self._settings))

    def retrieve(self, endpoint_id: str) -> Endpoint:
        """Fetch one endpoint."""
        return self._run(calls.retrieve(endpoint_id, self._settings))

    def start(self, endpoint_id: str, *, idempotency_key: str | None = None) -> Any:
        """Start a stopped endpoint; return the raw status."""
        key = self._settings.key(idempotency_key)
        return self._run(calls.operate(endpoint_id, "start", key, self._settings))

    def stop(self, endpoint_id: str, *, idempotency_key: str | None = None) -> Any:
        """Stop an endpoint, which then costs nothing; return the raw status."""
        key = self._settings.key(idempotency_key)
        return self._run(calls.operate(endpoint_id, "stop", key, self._settings))

    def delete(self, endpoint_id: str) -> None:
        """Delete an endpoint."""
        self._run(calls.remove(endpoint_id, self._settings))

    def metrics(self, endpoint_id: str) -> Metrics:
        """Return the metrics of an endpoint; each of its methods sends a request."""
        return Metrics(self._dispatcher, endpoint_id)
