"""Deadline for a blocking stream: httpx has a timeout for each read, but not for all reads together."""

import contextlib
import socket
import threading
import time

import httpx

MIN_CHANGE_S = 0.02
"""Seconds; a smaller change of the deadline keeps the timer. Raising it makes the deadline less exact."""


class CutOff:
    """Timer that shuts down the connection of a response, so that a waiting read returns.

    One thread for each blocking stream while it is read. A response without its own socket (in-memory transport,
    HTTP/2) is not shut down; only the read timeout applies.
    """

    def __init__(self, response: httpx.Response) -> None:
        self._socket = _socket_of(response)
        self._timer: threading.Timer | None = None
        self._ends = float("inf")
        self.has_fired = False

    def at(self, ends: float) -> None:
        """Set the time of the shutdown, in monotonic seconds."""
        if self._socket is None or abs(ends - self._ends) < MIN_CHANGE_S:
            return
        self.cancel()
        self._ends = ends
        self._timer = threading.Timer(max(ends - time.monotonic(), 0.0), self._fire)
        self._timer.daemon = True
        self._timer.start()

    def cancel(self) -> None:
        """Cancel the timer before the connection is reused."""
        self._ends = float("inf")
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fire(self) -> None:
        self.has_fired = True
        if self._socket is not None:
            # SSLSocket.shutdown would drop the TLS state that the reading thread uses.
            with contextlib.suppress(OSError):  # already closed
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


def _socket_of(response: httpx.Response) -> socket.socket | None:
    network = response.extensions.get("network_stream")
    if network is None or response.http_version == "HTTP/2":
        return None
    connected = network.get_extra_info("socket")
    return connected if isinstance(connected, socket.socket) else None
