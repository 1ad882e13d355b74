"""What carries requests: the caller's own httpx client, or one of ours, opened when first needed and once."""

import asyncio
import ssl
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cache
from typing import Protocol
from urllib.request import getproxies, proxy_bypass

import httpx

MOST_IN_FLIGHT = 1000
"""Connections of one asynchronous client; more calls than that wait for a place, however long it takes."""
OUR_LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=100, keepalive_expiry=30.0)


class Channel(Protocol):
    """Sends one request; the answer's body is still to be read."""

    def send(self, request: httpx.Request) -> httpx.Response:
        """Send, and give the answer as soon as its head is there; raises httpx's exceptions."""
        ...

    def close(self) -> None:
        """Close what this channel opened."""
        ...


class AsyncChannel(Protocol):
    """Sends one request; the answer's body is still to be read.

    `places` bounds the requests in flight, from sending to closing the answer; None leaves it to the transport.
    """

    places: asyncio.Semaphore | None

    async def send(self, request: httpx.Request, *, within: float | None) -> httpx.Response:
        """Send, and give the answer as soon as its head is there; raises httpx's exceptions.

        Within so many seconds the caller ends the whole attempt, so that shorter pauses need no timer of their own.
        """
        ...

    async def aclose(self) -> None:
        """Close what this channel opened."""
        ...


class WholeBody(ABC, httpx.AsyncByteStream):
    """A body that can be had at once, which is much cheaper than piece by piece."""

    compressed: bool

    @abstractmethod
    async def whole(self) -> bytes:
        """Read to the end; raises httpx's exceptions."""


@cache
def tls_context() -> ssl.SSLContext:
    """Make the one TLS context of this process: making it costs 50 to 120 ms."""
    return httpx.create_ssl_context()


class CallersClient:
    """A client that the caller passed in: its headers, proxies, transport and timeouts hold, and it stays open."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def send(self, request: httpx.Request) -> httpx.Response:
        """Send through the caller's client."""
        return self._client.send(_as_built_by(self._client, request), stream=True)

    def close(self) -> None:
        """Leave the caller's client open."""


class CallersAsyncClient:
    """The same for an httpx.AsyncClient."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self.places: asyncio.Semaphore | None = None

    async def send(self, request: httpx.Request, *, within: float | None) -> httpx.Response:
        """Send through the caller's client."""
        return await self._client.send(_as_built_by(self._client, request), stream=True)

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

    def send(self, request: httpx.Request) -> httpx.Response:
        """Send; raises RuntimeError once closed."""
        return self._opened().send(request, stream=True)

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
    """A fast transport of ours, given prepared requests directly; opened with the first request."""

    def __init__(self) -> None:
        self._transport: httpx.AsyncBaseTransport | None = None
        self.places: asyncio.Semaphore | None = asyncio.Semaphore(MOST_IN_FLIGHT)

    async def send(self, request: httpx.Request, *, within: float | None) -> httpx.Response:
        """Send; raises RuntimeError once closed, and on another event loop."""
        if self._transport is None:
            # Not at the top: importing aiohttp takes longer than everything else here.
            from pareta_client.aiohttp_transport import AiohttpTransport

            self._transport = AiohttpTransport(tls_context)
        timeout = request.extensions["timeout"]
        if within is not None and (timeout["read"] is None or timeout["read"] >= within):
            timeout["read"] = None
        return await self._transport.handle_async_request(request)

    async def aclose(self) -> None:
        """Close its connections."""
        if self._transport is not None:
            await self._transport.aclose()


class OurProxiedAsyncClient:
    """An httpx.AsyncClient of ours, which knows how to go through a proxy; opened with the first request."""

    def __init__(self) -> None:
        self.places: asyncio.Semaphore | None = None
        self._client: httpx.AsyncClient | None = None

    async def send(self, request: httpx.Request, *, within: float | None) -> httpx.Response:
        """Send through the proxy that the environment names."""
        if self._client is None:
            self._client = httpx.AsyncClient(verify=tls_context(), limits=OUR_LIMITS)
        return await self._client.send(request, stream=True)

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
