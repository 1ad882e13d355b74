"""Channels: the caller's httpx client, or a client opened with the first request."""

import asyncio
import ssl
import threading
from collections.abc import Awaitable, Callable
from functools import cache
from typing import TYPE_CHECKING, Protocol
from urllib.request import getproxies, proxy_bypass

import httpx

from pareta_client.core import Request
from pareta_client.transport.incoming import Incoming, IncomingFromHttpx

if TYPE_CHECKING:
    from pareta_client.transport.aiohttp_channel import AiohttpChannel

MAX_CONNECTIONS = 1000
"""Connections of one asynchronous client; further calls wait. Raising it costs memory and file descriptors."""
MAX_CONCURRENT_POLLS = 8
"""Requests of waits in flight in one asynchronous client; raising it polls many runs faster, and loads the service."""
POOL_LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=100, keepalive_expiry=30.0)
UNLIMITED_POOL = httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=30.0)


class Channel(Protocol):
    """Transport of a blocking client."""

    def send(self, request: Request) -> httpx.Response:
        """Send, and return the reply after its head; raise httpx's exceptions."""
        ...

    def close(self) -> None:
        """Close the connections that this channel opened."""
        ...


class AsyncChannel(Protocol):
    """Transport of an asynchronous client.

    `connection_slots` limits the requests in flight, from sending to closing the reply; None means no limit.
    `poll_slots` limits the requests of all waits.
    """

    connection_slots: asyncio.Semaphore | None
    poll_slots: asyncio.Semaphore

    def send(self, request: Request, within: float | None) -> Awaitable[Incoming]:
        """Send, and return the reply after its head; raise httpx's exceptions.

        The caller cancels the attempt after `within` seconds, so a read timeout that is not shorter needs no timer.
        """
        ...

    async def aclose(self) -> None:
        """Close the connections that this channel opened."""
        ...


@cache
def tls_context() -> ssl.SSLContext:
    """Create the TLS context of this process, once: it takes 50 to 120 ms."""
    return httpx.create_ssl_context()


class SuppliedChannel:
    """Channel over the caller's httpx.Client, with its headers, proxies, transport and timeouts; it stays open."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def send(self, request: Request) -> httpx.Response:
        """Send through the caller's client."""
        return self._client.send(_as_built_by(self._client, request.as_httpx()), stream=True)

    def close(self) -> None:
        """Leave the caller's client open."""


class SuppliedAsyncChannel:
    """Channel over the caller's httpx.AsyncClient, with its headers, proxies, transport and timeouts; it stays open."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self.connection_slots: asyncio.Semaphore | None = None
        self.poll_slots = asyncio.Semaphore(MAX_CONCURRENT_POLLS)

    async def send(self, request: Request, within: float | None) -> Incoming:
        """Send through the caller's client."""
        built = _as_built_by(self._client, request.as_httpx())
        return IncomingFromHttpx(await self._client.send(built, stream=True))

    async def aclose(self) -> None:
        """Leave the caller's client open."""


def _as_built_by(client: httpx.Client | httpx.AsyncClient, request: httpx.Request) -> httpx.Request:
    """Add the defaults of the client: headers, cookies, parameters, timeouts."""
    built = client.build_request(request.method, request.url, headers=request.headers, extensions=request.extensions)
    # Not as `content`: httpx would read a body that supports both protocols only synchronously.
    return httpx.Request(
        built.method, built.url, headers=built.headers, stream=request.stream, extensions=built.extensions
    )


class HttpxChannel:
    """Channel over an httpx.Client that is opened with the first request."""

    def __init__(self, open_client: Callable[[], httpx.Client]) -> None:
        self._create = open_client
        self._client: httpx.Client | None = None
        self._lock = threading.Lock()
        self._closed = False

    def send(self, request: Request) -> httpx.Response:
        """Send a request; raise RuntimeError after `close`."""
        return self._open_client().send(request.as_httpx(), stream=True)

    def _open_client(self) -> httpx.Client:
        with self._lock:
            if self._closed:
                raise RuntimeError("this client is closed; create a new one")
            if self._client is None:
                self._client = self._create()
            return self._client

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            self._closed = True
            if self._client is not None:
                self._client.close()


class DefaultAsyncChannel:
    """Channel over aiohttp, opened with the first request."""

    def __init__(self) -> None:
        self._channel: AiohttpChannel | None = None
        self._closed = False
        self.connection_slots: asyncio.Semaphore | None = asyncio.Semaphore(MAX_CONNECTIONS)
        self.poll_slots = asyncio.Semaphore(MAX_CONCURRENT_POLLS)

    def send(self, request: Request, within: float | None) -> Awaitable[Incoming]:
        """Send a request; raise RuntimeError after `aclose` and on another event loop."""
        if self._closed:
            raise RuntimeError("this client is closed; create a new one")
        if self._channel is None:
            # Imported here: aiohttp takes most of the import time.
            from pareta_client.transport.aiohttp_channel import AiohttpChannel

            self._channel = AiohttpChannel(tls_context)
        return self._channel.send(request, within)

    async def aclose(self) -> None:
        """Close the connections."""
        self._closed = True
        if self._channel is not None:
            await self._channel.aclose()


class ProxiedAsyncChannel:
    """Channel over an httpx.AsyncClient, for proxies; opened with the first request."""

    def __init__(self) -> None:
        self.connection_slots: asyncio.Semaphore | None = asyncio.Semaphore(MAX_CONNECTIONS)
        self.poll_slots = asyncio.Semaphore(MAX_CONCURRENT_POLLS)
        self._client: httpx.AsyncClient | None = None

    async def send(self, request: Request, within: float | None) -> Incoming:
        """Send through the proxy of the environment."""
        if self._client is None:
            self._client = httpx.AsyncClient(verify=tls_context(), limits=UNLIMITED_POOL)
        return IncomingFromHttpx(await self._client.send(request.as_httpx(), stream=True))

    async def aclose(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()


def behind_proxy(base_url: str) -> bool:
    """Check whether the environment (HTTPS_PROXY, NO_PROXY …) sets a proxy for this URL."""
    url = httpx.URL(base_url)
    proxies = getproxies()
    return (url.scheme in proxies or "all" in proxies) and not proxy_bypass(url.host)


def channel_for(http_client: httpx.Client | None) -> Channel:
    """Return the channel of a blocking client."""
    if http_client is not None:
        return SuppliedChannel(http_client)
    return HttpxChannel(lambda: httpx.Client(verify=tls_context(), limits=POOL_LIMITS))


def async_channel_for(http_client: httpx.AsyncClient | None, base_url: str) -> AsyncChannel:
    """Return the channel of an asynchronous client."""
    if http_client is not None:
        return SuppliedAsyncChannel(http_client)
    return ProxiedAsyncChannel() if behind_proxy(base_url) else DefaultAsyncChannel()
