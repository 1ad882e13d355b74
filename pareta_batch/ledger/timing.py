"""Waits of a ledger for its server."""

from dataclasses import dataclass

RECONNECT_INTERVAL_S = 0.25
"""Seconds between two attempts to connect; higher sends fewer attempts and reconnects later."""


@dataclass(frozen=True)
class Timing:
    """Waits for the server of a ledger, in seconds.

    reconnect_s: without a connection until an error is raised; higher survives a longer restart of the server.
    dead_owner_s: until the server releases the lock of a killed process; higher tolerates a slower server.
    """

    reconnect_s: float = 30.0
    dead_owner_s: float = 10.0


TIMING = Timing()
