"""Which live endpoints to stop: those whose count of requests has not grown for long, or that are live for too long."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any


@dataclass(frozen=True)
class IdlePolicy:
    """How long an endpoint may be live without being used, and how long at all."""

    idle: timedelta
    live: timedelta | None = None


@dataclass(frozen=True)
class ActivityReading:
    """A live endpoint's count of requests, if the service tells it, and since when it is the same; live since when."""

    endpoint: str
    name: str
    requests: int | None
    since: datetime
    live_since: datetime

    def stop_reason(self, patience: IdlePolicy, now: datetime) -> str | None:
        """Say why to stop it, if so. At the first look nothing is known yet of how long it is live or idle."""
        if now == self.live_since:
            return None
        if self.requests is not None and now > self.since and now - self.since >= patience.idle:
            return f"nobody used it since {_shown(self.since)}"
        if patience.live is not None and now - self.live_since >= patience.live:
            return f"it is live since {_shown(self.live_since)} at the latest"
        return None

    def row(self, now: datetime) -> dict[str, Any]:
        """Give it as a row of a table."""
        times = {"since": self.since.isoformat(), "live_since": self.live_since.isoformat()}
        return {**asdict(self), **times, "idle_minutes": round((now - self.since).total_seconds() / 60, 1)}


def readings_in(rows: Iterable[Mapping[str, Any]]) -> dict[str, ActivityReading]:
    """Read a table of readings back, by endpoint."""
    found = [
        ActivityReading(
            endpoint=row["endpoint"],
            name=row["name"],
            requests=row["requests"],
            since=datetime.fromisoformat(row["since"]),
            live_since=datetime.fromisoformat(row["live_since"]),
        )
        for row in rows
    ]
    return {reading.endpoint: reading for reading in found}


def read_again(
    earlier: ActivityReading | None, endpoint: str, name: str, requests: int | None, now: datetime
) -> ActivityReading:
    """Take a new reading; a count that is the same as before leaves since when it is."""
    if earlier is None:
        return ActivityReading(endpoint, name, requests, now, now)
    since = earlier.since if earlier.requests == requests else now
    return ActivityReading(endpoint, name, requests, since, earlier.live_since)


def _shown(time: datetime) -> str:
    return time.isoformat(" ", "minutes")
