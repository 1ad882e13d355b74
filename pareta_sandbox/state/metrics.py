"""Metrics of an endpoint: latency, uptime, cost, quality, activity."""

import time
from collections.abc import Callable

from pareta_sandbox.models import catalogue
from pareta_sandbox.state.endpoints import Endpoint

Metric = dict[str, object]


def performance(endpoint: Endpoint) -> Metric:
    """Return latency percentiles in milliseconds; null before the first completion."""
    times = sorted(endpoint.latencies_ms)
    return {
        "endpoint_id": endpoint.id,
        "p50_ms": _percentile(times, 0.50),
        "p95_ms": _percentile(times, 0.95),
        "p99_ms": _percentile(times, 0.99),
        "count": len(times),
    }


def uptime(endpoint: Endpoint) -> Metric:
    """Return the live time in seconds, and its share of the time since creation."""
    now = time.time()
    live_s = endpoint.live_s + (now - endpoint.live_since if endpoint.live_since else 0.0)
    age_s = max(now - endpoint.created, 1e-9)
    return {
        "endpoint_id": endpoint.id,
        "status": endpoint.state,
        "live_s": round(live_s, 3),
        "uptime": round(min(1.0, live_s / age_s), 6),
    }


def cost(endpoint: Endpoint) -> Metric:
    """Return the billed amount, and the price of the frontier baseline."""
    return {
        "endpoint_id": endpoint.id,
        "total_micro_usd": endpoint.billed_micro_usd,
        "frontier_baseline_micro_usd": endpoint.baseline_micro_usd,
        "savings_micro_usd": endpoint.baseline_micro_usd - endpoint.billed_micro_usd,
        "requests": endpoint.completions,
    }


def quality(endpoint: Endpoint) -> Metric:
    """Return the quality of the model on the sample of the task."""
    ranked = catalogue.leaderboard(endpoint.task.id)
    own = next(entry for entry in ranked if entry.model.id == endpoint.model.id)
    return {
        "endpoint_id": endpoint.id,
        "metric": endpoint.task.scorer,
        "quality_mean": round(own.quality.mean, 6),
        "windows": [{"quality_mean": round(own.quality.mean, 6), "n": len(own.quality.items)}],
    }


def activity(endpoint: Endpoint) -> Metric:
    """Return the number of requests and failures."""
    return {"endpoint_id": endpoint.id, "requests": endpoint.completions, "failures": endpoint.failures}


METRICS: dict[str, Callable[[Endpoint], Metric]] = {
    "performance": performance,
    "uptime": uptime,
    "cost": cost,
    "quality": quality,
    "activity": activity,
}


def _percentile(times: list[float], share: float) -> float | None:
    if not times:
        return None
    return round(times[min(len(times) - 1, int(share * len(times)))], 3)
