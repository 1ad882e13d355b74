"""One HTTP exchange: request headers and body, and the reply or the dropped connection."""

import json
import socket
import struct
from asyncio import Transport
from collections.abc import Callable, Mapping
from typing import Literal

from starlette.types import Message, Receive, Scope, Send

from pareta_sandbox.http.errors import ClientGone, Refusal

Header = tuple[bytes, bytes]
JSON_TYPE: Header = (b"content-type", b"application/json")
TRANSPORT = "sandbox.transport"


class HttpExchange:
    """A request and its reply; every reply carries `x-request-id`."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        self.scope = scope
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.request_id = request_id
        self.api_key: str | None = None
        self.started = False
        self.finished = False
        self.on_status: Callable[[int], None] | None = None
        self.receive = receive
        self._send = send

    def header(self, name: bytes) -> str | None:
        """Return a request header, or None; the name is in lower case."""
        for key, value in self.scope["headers"]:
            if key == name:
                return str(value.decode("latin-1"))
        return None

    async def send(self, message: Message) -> None:
        """Send an ASGI message, and add the request id to the reply headers."""
        if message["type"] == "http.response.start":
            self.started = True
            if self.on_status is not None:
                self.on_status(message["status"])
            message["headers"] = [*message.get("headers", ()), (b"x-request-id", self.request_id.encode())]
        await self._send(message)
        self.finished = message["type"] == "http.response.body" and not message.get("more_body")

    def intercept_send(self, wrap: Callable[[Send], Send]) -> None:
        """Wrap `send`, so that a fault can change the reply."""
        self._send = wrap(self._send)

    async def reply(self, status: int, body: bytes, headers: list[Header]) -> None:
        """Send a complete reply."""
        length = (b"content-length", str(len(body)).encode())
        await self.send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
        await self.send({"type": "http.response.body", "body": body})

    async def refuse(self, refusal: Refusal) -> None:
        """Send an error status with its `detail`."""
        body = json.dumps({"detail": refusal.detail}).encode()
        await self.reply(refusal.status, body, [JSON_TYPE, *encode_headers(refusal.headers)])

    async def wait_for_disconnect(self) -> None:
        """Wait until the client has disconnected."""
        while (await self.receive())["type"] != "http.disconnect":
            pass

    async def drop(self, how: Literal["close", "reset"] = "close") -> None:
        """Drop the connection without sending another byte; always raises ClientGone."""
        transport: Transport = self.scope["extensions"][TRANSPORT]
        if how == "reset":
            # SO_LINGER with zero seconds makes the kernel send RST instead of FIN.
            connection: socket.socket = transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
        await self.wait_for_disconnect()
        raise ClientGone


async def read_body(receive: Receive, limit: int) -> bytes:
    """Read a request body; refuse it with 413 above `limit` bytes."""
    parts, size, is_complete = list[bytes](), 0, False
    while not is_complete:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            raise Refusal(413, "the request body is too large", {"connection": "close"})
        is_complete = not message.get("more_body")
    return b"".join(parts)


def encode_headers(headers: Mapping[str, str]) -> list[Header]:
    """Encode headers as ASGI requires: pairs of bytes."""
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
