"""Ports of this machine: one to listen on later, and one that refuses connections."""

import contextlib
import socket
from collections.abc import Iterator
from random import SystemRandom

BELOW_THE_EPHEMERAL_PORTS = range(15_000, 30_000)
"""Connections and sockets bound to port 0 receive no port of this range, so that nothing takes one in between."""


def free_port() -> int:
    """Return a port of which a process can be told."""
    while True:
        # Not the module `random`: every test process begins with the same seed.
        port = SystemRandom().choice(BELOW_THE_EPHEMERAL_PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@contextlib.contextmanager
def closed_port() -> Iterator[int]:
    """Yield a port that refuses connections; it is bound, so that no other process can listen on it."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield int(bound.getsockname()[1])
