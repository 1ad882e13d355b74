"""What carries requests: the caller's own httpx client, or one of ours, opened when first needed and once."""

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import cache
from typing import TYPE_CHECKING, Protocol
from urllib.request import getproxies, proxy_bypass

import httpx

from pareta_client.core import RawHeaders, Request
from pareta_client.transport.decoding import decoded_async

if TYPE_CHECKING:
    from pareta_client.transport.aiohttp_channel import AiohttpChannel

MOST_IN_FLIGHT = 1000
"""Connections of one asynchronous client; more calls than that wait for a place, however long it takes."""
OUR_LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=100, keepalive_expiry=30.0)


class Channel(Protocol):
    """Sends one request; the answer's body is still to be read."""

    def send(self, request: Request) -> httpx.Response:
        """Send, and give the answer as soon as its head is there; raises httpx's exceptions."""
        ...

    def close(self) -> None:
        """Close what this channel opened."""
        ...


class Incoming(Protocol):
    """An answer whose head has come; the asynchronous counterpart of an httpx.Response, and no more than is needed."""

    status: int
    headers: RawHeaders

    def pieces(self) -> AsyncIterator[bytes]:
        """Yield the decompressed body as it arrives; raises httpx's exceptions."""
        ...

    async def read_into(self, body: list[bytes], most: int) -> bool:
        """Read the decompressed body; raises httpx's exceptions, what had arrived stays in `body`.

        Returns False if the body is larger than `most` bytes: it is then not read to its end.
        """
        ...

    async def aclose(self) -> None:
        """Release the connection."""
        ...


class AsyncChannel(Protocol):
    """Sends one request; the answer's body is still to be read.

    `places` bounds the requests in flight, from sending to closing the answer; None leaves it to the transport.
    """

    places: asyncio.Semaphore | None

    def send(self, request: Request, within: float | None) -> Awaitable[Incoming]:
        """Send, and give the answer as soon as its head is there; raises httpx's exceptions.

        Within so many seconds the caller ends the whole attempt, so that longer pauses need no timer of their own.
        """
        ...

    async def aclose(self) -> None:
        """Close what this channel opened."""
        ...


class IncomingFromHttpx:
    """An answer of httpx's, its body still to be read."""

    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self.status = response.status_code
        self.headers: RawHeaders = response.headers.raw

    def pieces(self) -> AsyncIterator[bytes]:
        """Yield the decompressed body as it arrives; raises httpx's exceptions."""
        if self._response.is_stream_consumed:  # by a hook or a transport of the caller's
            return self._response.aiter_bytes()
        return decoded_async(self._response.aiter_raw(), self.headers)

    async def read_into(self, body: list[bytes], most: int) -> bool:
        """Read the decompressed body; returns False if it is larger than `most` bytes."""
        return await gather_into(body, self.pieces(), most)

    async def aclose(self) -> None:
        """Release the connection."""
        await self._response.aclose()


async def gather_into(body: list[bytes], pieces: AsyncIterator[bytes], most: int) -> bool:
    """Read pieces to their end; returns False if there are more than `most` bytes."""
    left = most
    async for piece in pieces:
        body.append(piece)
        left -= len(piece)
        if left < 0:
            return False
    return True


@cache
def tls_context() -> ssl.SSLContext:
    """Make the one TLS context of this process: making it costs 50 to 120 ms."""
    return httpx.create_ssl_context()


class CallersClient:
    """A client that the caller passed in: its headers, proxies, transport and timeouts hold, and it stays open."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def send(self, request: Request) -> httpx.Response:
        """Send through the caller's client."""
        return self._client.send(_as_built_by(self._client, request.as_httpx()), stream=True)

    def close(self) -> None:
        """Leave the caller's client open."""


class CallersAsyncClient:
    """The same for an httpx.AsyncClient."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self.places: asyncio.Semaphore | None = None

    async def send(self, request: Request, within: float | None) -> Incoming:
        """Send through the caller's client."""
        request_of_theirs = _as_built_by(self._client, request.as_httpx())
        return IncomingFromHttpx(await self._client.send(request_of_theirs, stream=True))

    async def aclose(self) -> None:
        """Leave the caller's client open."""


def _as_built_by(client: httpx.Client | httpx.AsyncClient, request: httpx.Request) -> httpx.Request:
    """Add what the client puts on its own requests: default headers, cookies, parameters, timeouts."""
    built = client.build_request(request.method, request.url, headers=request.headers, extensions=request.extensions)
    # Not as content: httpx would take a body that can be read both ways for one that can only be read blocking.
    return httpx.Request(
        built.method, built.url, headers=built.headers, stream=request.stream, extensions=built.extensions
    )


class OurClient:
    """An httpx.Client of ours, opened with the first request."""

    def __init__(self, open_client: Callable[[], httpx.Client]) -> None:
        self._open = open_client
        self._client: httpx.Client | None = None
        self._lock = threading.Lock()
        self._closed = False

    def send(self, request: Request) -> httpx.Response:
        """Send; raises RuntimeError once closed."""
        return self._opened().send(request.as_httpx(), stream=True)

    def _opened(self) -> httpx.Client:
        with self._lock:
            if self._closed:
                raise RuntimeError("this client is closed: make a new one")
            if self._client is None:
                self._client = self._open()
            return self._client

    def close(self) -> None:
        """Close its connections."""
        with self._lock:
            self._closed = True
            if self._client is not None:
                self._client.close()


class OurAsyncClient:
    """The fast channel, opened with the first request."""

    def __init__(self) -> None:
        self._channel: AiohttpChannel | None = None
        self._closed = False
        self.places: asyncio.Semaphore | None = asyncio.Semaphore(MOST_IN_FLIGHT)

    def send(self, request: Request, within: float | None) -> Awaitable[Incoming]:
        """Send; raises RuntimeError once closed, and on another event loop."""
        if self._closed:
            raise RuntimeError("this client is closed: make a new one")
        if self._channel is None:
            # Not at the top: importing aiohttp takes longer than everything else here.
            from pareta_client.transport.aiohttp_channel import AiohttpChannel

            self._channel = AiohttpChannel(tls_context)
        return self._channel.send(request, within)

    async def aclose(self) -> None:
        """Close its connections."""
        self._closed = True
        if self._channel is not None:
            await self._channel.aclose()


class OurProxiedAsyncClient:
    """An httpx.AsyncClient of ours, which knows how to go through a proxy; opened with the first request."""

    def __init__(self) -> None:
        self.places: asyncio.Semaphore | None = None
        self._client: httpx.AsyncClient | None = None

    async def send(self, request: Request, within: float | None) -> Incoming:
        """Send through the proxy that the environment names."""
        if self._client is None:
            self._client = httpx.AsyncClient(verify=tls_context(), limits=OUR_LIMITS)
        return IncomingFromHttpx(await self._client.send(request.as_httpx(), stream=True))

    async def aclose(self) -> None:
        """Close its connections."""
        if self._client is not None:
            await self._client.aclose()


def behind_proxy(base_url: str) -> bool:
    """Say whether the environment (HTTPS_PROXY, NO_PROXY …) names a proxy for this address."""
    url = httpx.URL(base_url)
    proxies = getproxies()
    return (url.scheme in proxies or "all" in proxies) and not proxy_bypass(url.host)


def channel_for(http_client: httpx.Client | None) -> Channel:
    """Choose the channel of a blocking client."""
    if http_client is not None:
        return CallersClient(http_client)
    return OurClient(lambda: httpx.Client(verify=tls_context(), limits=OUR_LIMITS))


def async_channel_for(http_client: httpx.AsyncClient | None, base_url: str) -> AsyncChannel:
    """Choose the channel of an asynchronous client."""
    if http_client is not None:
        return CallersAsyncClient(http_client)
    return OurProxiedAsyncClient() if behind_proxy(base_url) else OurAsyncClient()
