"""An httpx transport over aiohttp's client: httpx's face and exceptions, aiohttp's speed.

httpx's own pool is scanned whole for each request, which is quadratic in the number in flight; aiohttp's is not. What
matters more than speed is that an error never claims a request was not sent when it may have been: `_translated` is
the table, and tests/client/test_faults.py holds it against httpx's own transport, fault by fault.

The pool has no bound of its own: it holds as many connections as there were requests in flight.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import lru_cache
from io import BytesIO
from types import TracebackType
from typing import Self

import aiohttp
import httpx
from yarl import URL

from pareta_client.channel import WholeBody

KEPT_ALIVE = 15.0
"""Seconds that an idle connection is kept; services often close theirs not much later."""
LARGE_BODY = 64 * 1024
"""Bytes beyond which a body may not fit into the socket's buffers, so that sending it can hang."""
Timeouts = Mapping[str, float | None]
"""httpx's: connect, read, write and pool, in seconds."""
_NO_HEADERS_OF_ITS_OWN = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")


class AiohttpTransport(httpx.AsyncBaseTransport):
    """Sends httpx's requests through one aiohttp session, on the event loop of the first request."""

    def __init__(self, tls_context: Callable[[], ssl.SSLContext] = httpx.create_ssl_context) -> None:
        self._tls_context = tls_context
        self._session: aiohttp.ClientSession | None = None
        self._streaming: httpx.AsyncHTTPTransport | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._last_url = (httpx.URL(""), URL())
        self._closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send and give the answer's head, its body still to be read; raises httpx's exceptions."""
        session = self._opened()
        if not isinstance(request.stream, httpx.ByteStream):
            return await self._streamed().handle_async_request(request)
        timeout = request.extensions.get("timeout", {})
        body = b"".join(request.stream)
        try:
            if len(body) <= LARGE_BODY:
                response = await self._send(session, request, body or None, timeout)
            else:
                async with asyncio.timeout(_until_head(timeout)):
                    # As a file, a large body is sent in pieces and does not hold up the event loop.
                    response = await self._send(session, request, BytesIO(body), timeout)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise _translated(error, request) from error
        return httpx.Response(
            response.status,
            headers=list(response.raw_headers),
            stream=_Body(response, request),
            extensions={"http_version": b"HTTP/1.1", "reason_phrase": (response.reason or "").encode()},
        )

    def _send(
        self, session: aiohttp.ClientSession, request: httpx.Request, body: bytes | BytesIO | None, timeout: Timeouts
    ) -> Awaitable[aiohttp.ClientResponse]:
        return session.request(
            request.method,
            self._url(request.url),
            headers=[(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw],
            data=body,
            allow_redirects=False,
            timeout=_client_timeout(timeout.get("connect"), timeout.get("read")),
            ssl=self._tls_context() if request.url.scheme == "https" else True,
        )

    def _url(self, url: httpx.URL) -> URL:
        # Most requests go to the very URL of the one before, and even comparing two httpx.URLs means to format them.
        known, ours = self._last_url
        if known is not url:
            ours = URL(str(url), encoded=True)
            self._last_url = url, ours
        return ours

    def _opened(self) -> aiohttp.ClientSession:
        if self._closed:
            raise RuntimeError("this client is closed: make a new one")
        loop = asyncio.get_running_loop()
        if self._session is None:
            self._loop = loop
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEPT_ALIVE),
                cookie_jar=aiohttp.DummyCookieJar(),  # cookies are the business of the httpx client above, if any
                skip_auto_headers=_NO_HEADERS_OF_ITS_OWN,
                auto_decompress=False,
            )
        elif self._loop is not loop:
            raise RuntimeError("this client belongs to another event loop: make one for each loop")
        return self._session

    def _streamed(self) -> httpx.AsyncHTTPTransport:
        # aiohttp has no timeout for sending, so a streamed body (an upload: rare, and slow anyway) goes httpx's way.
        if self._streaming is None:
            self._streaming = httpx.AsyncHTTPTransport(verify=self._tls_context())
        return self._streaming

    async def aclose(self) -> None:
        """Close all connections."""
        self._closed = True
        if self._session is not None:
            await self._session.close()
        if self._streaming is not None:
            await self._streaming.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.aclose()


class _Body(WholeBody):
    """The bytes of an answer as they arrive."""

    def __init__(self, response: aiohttp.ClientResponse, request: httpx.Request) -> None:
        self._response = response
        self._request = request
        self.compressed = "Content-Encoding" in response.headers

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for received in self._response.content.iter_any():
                yield received
        except (aiohttp.ClientError, OSError) as error:
            raise _translated(error, self._request) from error

    async def whole(self) -> bytes:
        try:
            return await self._response.content.read()
        except (aiohttp.ClientError, OSError) as error:
            raise _translated(error, self._request) from error

    async def aclose(self) -> None:
        # Gives a connection whose answer was read to its end back to the pool, and closes any other.
        self._response.release()


@lru_cache(maxsize=256)
def _client_timeout(connect: float | None, read: float | None) -> aiohttp.ClientTimeout:
    # `connect` rather than `sock_connect`, which would leave out the look-up of the host's name.
    return aiohttp.ClientTimeout(total=None, connect=connect, sock_read=read)


def _until_head(timeout: Timeouts) -> float | None:
    """Give the bound for connecting, sending and waiting together; None if one of them has none."""
    bounds = [timeout.get(phase) for phase in ("connect", "write", "read")]
    return None if None in bounds else sum(bound or 0.0 for bound in bounds)


def _translated(error: Exception, request: httpx.Request) -> httpx.RequestError:
    """Say in httpx's words what went wrong; what is not known for certain counts as "may have been sent"."""
    return _kind(error)(str(error) or type(error).__name__, request=request)


def _kind(error: Exception) -> type[httpx.RequestError]:
    match error:
        # never sent
        case aiohttp.ConnectionTimeoutError():
            return httpx.ConnectTimeout
        case aiohttp.ClientConnectorError():
            return httpx.ConnectError
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError():
            return httpx.UnsupportedProtocol
        # may have been sent
        case aiohttp.ServerTimeoutError() | TimeoutError():
            return httpx.ReadTimeout
        case aiohttp.ClientOSError():
            return httpx.ReadError
        case ValueError():
            return httpx.LocalProtocolError
        case _:
            return httpx.RemoteProtocolError
