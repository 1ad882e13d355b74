"""Endpoints: deployment, wait until live, start and stop, metrics."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from pareta_client.core import (
    Call,
    Emit,
    Happened,
    Operation,
    PollTiming,
    Progress,
    delete,
    deploy_events,
    exchange,
    get,
    json_of,
    poll,
    post,
    record_of,
    records_of,
    segment,
)
from pareta_client.errors import DeployError, EndpointWaitTimeoutError
from pareta_client.models.endpoints import DeployEvent, Endpoint
from pareta_client.settings import Settings

PATH = "/v1/endpoints"
POLL_INTERVAL_S = 2.0
"""Longest pause between two polls; raising it detects a live endpoint later."""
LIVE_TIMEOUT_S = 900.0
"""Default wait for a live endpoint; raising it reports a hanging deployment later."""
FIRST_POLL_S = 0.25
"""First pause, doubled after each poll; raising it detects a fast start later."""
POLL_GROWTH = 2.0
"""Factor between two pauses; raising it polls less, and detects a live endpoint later."""
_FAILED_STATUSES = ("failed", "error")


def deploy_call(task: str, model: str, name: str | None, extra: Mapping[str, Any], key: str) -> Call:
    """Return the call of a deployment; raise ValueError if the task is missing."""
    if not task:
        raise ValueError("task is required")
    body = {"task": task, "model": model or "recommended", **extra}
    call = post(PATH, key, body if name is None else {**body, "name": name}, streamed=True)
    # A service without idempotency keys would create a second endpoint for a repeated request.
    return replace(call, repeatable=False)


def deploy_and_wait(call: Call, settings: Settings) -> Operation[Endpoint]:
    """Deploy a model and return the endpoint when it is live."""
    endpoint = yield from _deployed(call, settings)
    if endpoint.is_live or endpoint.status is None or endpoint.id is None:
        return endpoint
    return (yield from wait_until_live(endpoint.id, POLL_INTERVAL_S, LIVE_TIMEOUT_S, settings))


def _deployed(call: Call, settings: Settings) -> Operation[Endpoint]:
    events = deploy_events(call, settings, Progress())
    happened: Happened = None
    while True:
        step = events.send(happened)
        if not isinstance(step, Emit):
            happened = yield step
            continue
        happened = None
        event: DeployEvent = step.value
        if event["event"] == "complete":
            return _endpoint_in(event["data"])
        if event["event"] == "error":
            raise _deploy_error(event["data"])


def _endpoint_in(data: object) -> Endpoint:
    record = data.get("endpoint") if isinstance(data, dict) else None
    return Endpoint.model_validate(record if isinstance(record, dict) else {})


def _deploy_error(data: object) -> DeployError:
    message = data.get("message") if isinstance(data, dict) else data
    return DeployError(f"deploy failed: {message or 'no reason given by the service'}")


def wait_until_live(endpoint_id: str, poll_interval: float, timeout: float, settings: Settings) -> Operation[Endpoint]:
    """Poll with growing pauses until the endpoint is live.

    Raises EndpointWaitTimeoutError after `timeout` seconds, and DeployError for a failed endpoint.
    """
    return poll(
        lambda: retrieve(endpoint_id, settings),
        partial(_is_live, endpoint_id),
        PollTiming(timeout, longest=poll_interval, first=FIRST_POLL_S, growth=POLL_GROWTH),
        settings.jitter,
        lambda waited, status: EndpointWaitTimeoutError(endpoint_id, waited=waited, status=status),
    )


def _is_live(endpoint_id: str, endpoint: Endpoint) -> bool:
    """Return whether the endpoint is live; raise DeployError if it failed."""
    if endpoint.status in _FAILED_STATUSES:
        raise DeployError(f"endpoint {endpoint_id} is {endpoint.status}; check its activity, or deploy again")
    return endpoint.is_live


def list_endpoints(settings: Settings) -> Operation[list[Endpoint]]:
    """List all endpoints of the organisation."""
    answer = yield from exchange(get(PATH), settings)
    return records_of(Endpoint, answer.reply)


def retrieve(endpoint_id: str, settings: Settings) -> Operation[Endpoint]:
    """Read one endpoint."""
    answer = yield from exchange(get(_path(endpoint_id)), settings)
    return record_of(Endpoint, answer.reply)


def operate(endpoint_id: str, verb: str, key: str, settings: Settings) -> Operation[Any]:
    """Start or stop an endpoint; return the raw status."""
    answer = yield from exchange(post(f"{_path(endpoint_id)}/{verb}", key), settings)
    return json_of(answer.reply)


def remove(endpoint_id: str, settings: Settings) -> Operation[None]:
    """Delete an endpoint."""
    yield from exchange(delete(_path(endpoint_id)), settings)


def measure(endpoint_id: str, dimension: str, params: Mapping[str, Any], settings: Settings) -> Operation[Any]:
    """Fetch one metric as raw JSON."""
    answer = yield from exchange(get(f"{_path(endpoint_id)}/{dimension}", params), settings)
    return json_of(answer.reply)


def _path(endpoint_id: str) -> str:
    return f"{PATH}/{segment('endpoint_id', endpoint_id)}"
