"""Deploy of an endpoint: the work, and the named events of its progress."""

import asyncio
import json
import time
from collections.abc import AsyncIterator

from pareta_sandbox.faults.kinds import DeployFails, DeployStreamCut, Fault
from pareta_sandbox.state.endpoints import Endpoint, Endpoints, record

STAGES = (
    (0, "queued"),
    (10, "reserving capacity"),
    (30, "pulling weights"),
    (60, "loading model"),
    (80, "warming up"),
    (95, "health check"),
)


def begin(endpoints: Endpoints, endpoint: Endpoint, seconds: float, faults: tuple[Fault, ...]) -> None:
    """Start the deploy: the endpoint becomes live, or is deleted by a fault, with or without a reader of the events."""
    failing = next((fault for fault in faults if isinstance(fault, DeployFails)), None)
    if failing is None:
        endpoints.live_later(endpoint, seconds)
        return
    asyncio.get_running_loop().call_later(seconds * failing.at_pct / 100, endpoints.delete, endpoint)


async def progress(
    endpoint: Endpoint, seconds: float, faults: tuple[Fault, ...], base_url: str
) -> AsyncIterator[bytes]:
    """Yield the stages of a deploy; a cut stream ends without a last event."""
    begun = time.monotonic()
    failing = next((fault for fault in faults if isinstance(fault, DeployFails)), None)
    cut = next((fault for fault in faults if isinstance(fault, DeployStreamCut)), None)
    for pct, stage in STAGES:
        if cut and pct >= cut.at_pct:
            return
        if failing and pct >= failing.at_pct:
            break
        await asyncio.sleep(begun + seconds * pct / 100 - time.monotonic())
        yield event("progress", {"stage": stage, "pct": pct})
    if cut and cut.at_pct > STAGES[-1][0]:
        return
    await asyncio.sleep(begun + seconds * (failing.at_pct / 100 if failing else 1) - time.monotonic())
    if failing:
        yield event("error", {"message": failing.error})
        return
    await endpoint.settled.wait()
    if endpoint.state != "live":
        yield event("error", {"message": f"endpoint '{endpoint.id}' was stopped before it became live"})
        return
    yield event("progress", {"stage": "live", "pct": 100})
    yield event("complete", {"endpoint": record(endpoint, base_url)})


def event(name: str, content: dict[str, object]) -> bytes:
    """Serialize a named server-sent event."""
    return f"event: {name}\ndata: {json.dumps(content, ensure_ascii=False)}\n\n".encode()
