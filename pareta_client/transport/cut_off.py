"""An end to blocking reads: httpx bounds each read of a stream by itself, but not all of them together."""

import contextlib
import socket
import threading
import time

import httpx

SLACK = 0.02
"""Seconds by which a new bound may differ from the present one without a new timer."""


class CutOff:
    """Shuts a response's connection down at a point in time, so that the read that waits on it returns.

    One thread for each blocking stream, while it is read. A response without a socket of its own (a transport in
    memory, HTTP/2) is never cut off: each of its reads is bounded by the read timeout alone.
    """

    def __init__(self, response: httpx.Response) -> None:
        self._socket = _socket_of(response)
        self._timer: threading.Timer | None = None
        self._ends = float("inf")
        self.has_fired = False

    def at(self, ends: float) -> None:
        """Set the point in time, on the monotonic clock."""
        if self._socket is None or abs(ends - self._ends) < SLACK:
            return
        self.cancel()
        self._ends = ends
        self._timer = threading.Timer(max(ends - time.monotonic(), 0.0), self._fire)
        self._timer.daemon = True
        self._timer.start()

    def cancel(self) -> None:
        """Stop the timer, before the connection is used for another request."""
        self._ends = float("inf")
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fire(self) -> None:
        self.has_fired = True
        if self._socket is not None:
            # An SSLSocket's own shutdown would take its TLS state from under the thread that reads.
            with contextlib.suppress(OSError):  # closed by now
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


def _socket_of(response: httpx.Response) -> socket.socket | None:
    network = response.extensions.get("network_stream")
    if network is None or response.http_version == "HTTP/2":
        return None
    found = network.get_extra_info("socket")
    return found if isinstance(found, socket.socket) else None
