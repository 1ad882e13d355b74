"""A connection: HTTP/1.1 by uvicorn and httptools, with one write per reply, and within reach of the faults."""

import asyncio

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from pareta_sandbox.http.exchange import TRANSPORT


class Protocol(HttpToolsProtocol):
    """HTTP/1.1 that hands the connection to the application, so that a fault can drop it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Put the connection into the scope of every request that comes over it."""
        super().connection_made(Corked(transport))
        application: ASGIApp = self.app

        async def with_connection(scope: Scope, receive: Receive, send: Send) -> None:
            scope.setdefault("extensions", {})[TRANSPORT] = transport
            await application(scope, receive, send)

        self.app = with_connection


class Corked(asyncio.Transport):
    """A transport that sends what is written in one turn of the event loop with one system call.

    uvicorn writes the head and the body of a reply one after the other; the second `send` costs as much as the rest
    of the reply.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__()
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._parts: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep the bytes until the end of this turn."""
        if not self._parts:
            self._loop.call_soon(self._flush)
        self._parts.append(bytes(data))

    def _flush(self) -> None:
        if self._parts:
            self._transport.write(b"".join(self._parts))
            self._parts.clear()

    def close(self) -> None:
        """Send what is kept, then close."""
        self._flush()
        self._transport.close()

    def abort(self) -> None:
        """Close at once; what is kept is lost."""
        self._parts.clear()
        self._transport.abort()

    def is_closing(self) -> bool:
        """Tell whether the connection is closing."""
        return self._transport.is_closing()

    def pause_reading(self) -> None:
        """Read no more for now."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read again."""
        self._transport.resume_reading()

    def get_extra_info(self, name: str, default: object = None) -> object:
        """Return what is known about the connection."""
        return self._transport.get_extra_info(name, default)
