"""Which endpoints are idle: a live one whose count of requests has not grown for long enough."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any


@dataclass(frozen=True)
class Reading:
    """An endpoint's count of requests, and since when it is known not to have grown."""

    endpoint: str
    name: str
    requests: int
    since: datetime

    def idle_for(self, now: datetime) -> timedelta:
        """Give how long it is known to be idle."""
        return now - self.since

    def row(self, now: datetime) -> dict[str, Any]:
        """Give it as a row of a table."""
        idle_minutes = round(self.idle_for(now).total_seconds() / 60, 1)
        return {**asdict(self), "since": self.since.isoformat(), "idle_minutes": idle_minutes}


def readings_in(rows: Iterable[Mapping[str, Any]]) -> dict[str, Reading]:
    """Read a table of readings back, by endpoint."""
    fields = ("endpoint", "name", "requests")
    found = [Reading(**{key: row[key] for key in fields}, since=datetime.fromisoformat(row["since"])) for row in rows]
    return {reading.endpoint: reading for reading in found}


def read_again(earlier: Reading | None, endpoint: str, name: str, requests: int, now: datetime) -> Reading:
    """Take a new reading; a count that is the same as before leaves since when it is."""
    same = earlier is not None and earlier.requests == requests
    return Reading(endpoint, name, requests, earlier.since if earlier is not None and same else now)
