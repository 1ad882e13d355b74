"""Idle policy: when a live endpoint is stopped, by its request count and its time live."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import TypeAdapter


@dataclass(frozen=True)
class IdlePolicy:
    """Time without requests, and time live, after which an endpoint is stopped."""

    idle: timedelta
    live: timedelta | None = None


@dataclass(frozen=True)
class ActivityReading:
    """Request count of a live endpoint.

    `requests` is None if the service does not report it. `since` is the first reading of this count, `live_since` the
    first reading of the endpoint.
    """

    endpoint: str
    name: str
    requests: int | None
    since: datetime
    live_since: datetime

    def stop_reason(self, policy: IdlePolicy, now: datetime) -> str | None:
        """Return the reason to stop the endpoint, or None; always None at its first reading."""
        if now == self.live_since:
            return None
        if self.requests is not None and now > self.since and now - self.since >= policy.idle:
            return f"no request since {_shown(self.since)}"
        if policy.live is not None and now - self.live_since >= policy.live:
            return f"live since {_shown(self.live_since)} or earlier"
        return None

    def row(self, now: datetime) -> dict[str, Any]:
        """Return the reading as a row of a table."""
        times = {"since": self.since.isoformat(), "live_since": self.live_since.isoformat()}
        return {**asdict(self), **times, "idle_minutes": round((now - self.since).total_seconds() / 60, 1)}


ROW = TypeAdapter(ActivityReading)


def readings_in(rows: Iterable[Mapping[str, Any]]) -> dict[str, ActivityReading]:
    """Return the readings of a table by endpoint."""
    return {row["endpoint"]: ROW.validate_python(row) for row in rows}


def next_reading(
    earlier: ActivityReading | None, endpoint: str, name: str, requests: int | None, now: datetime
) -> ActivityReading:
    """Return a new reading; an unchanged count keeps the time of its first reading."""
    if earlier is None:
        return ActivityReading(endpoint, name, requests, now, now)
    since = earlier.since if earlier.requests == requests else now
    return ActivityReading(endpoint, name, requests, since, earlier.live_since)


def _shown(time: datetime) -> str:
    return time.isoformat(" ", "minutes")
