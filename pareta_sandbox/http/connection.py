"""HTTP/1.1 connections by uvicorn and httptools: one write per reply, and accessible to faults."""

import asyncio
from typing import Any, cast

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from pareta_sandbox.http.exchange import TRANSPORT


class Protocol(HttpToolsProtocol):
    """HTTP/1.1 protocol that passes its transport to the application, so that a fault can drop it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Add the transport to the scope of every request on this connection."""
        super().connection_made(cast(asyncio.Transport, Corked(transport)))
        application: ASGIApp = self.app

        async def with_connection(scope: Scope, receive: Receive, send: Send) -> None:
            scope.setdefault("extensions", {})[TRANSPORT] = transport
            await application(scope, receive, send)

        self.app = with_connection


class Corked:
    """A transport that collects the writes of one event loop iteration into one system call.

    uvicorn writes the head and the body of a reply separately, and the second `send` doubles the cost of a reply.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._parts: list[bytes] = []

    def __getattr__(self, name: str) -> Any:  # a method of the transport that writes nothing
        return getattr(self._transport, name)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Collect the bytes until the end of this event loop iteration."""
        if not self._parts:
            self._loop.call_soon(self._flush)
        self._parts.append(bytes(data))

    def _flush(self) -> None:
        if self._parts:
            self._transport.write(b"".join(self._parts))
            self._parts.clear()

    def close(self) -> None:
        """Send the buffered bytes, then close."""
        self._flush()
        self._transport.close()

    def abort(self) -> None:
        """Discard the buffered bytes and close at once."""
        self._parts.clear()
        self._transport.abort()
