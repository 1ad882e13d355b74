"""A channel over aiohttp's client that raises httpx's exceptions.

httpx scans its whole pool for each request, which is quadratic in the number of requests in flight; aiohttp does not.
An error must never report "never sent" for a request that may have been sent: `_kind` is the table of exceptions, and
tests/client/test_faults.py compares it with httpx's transport.

The pool has no limit: it keeps one connection for each request in flight.
"""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import lru_cache, partial
from io import BytesIO
from typing import TYPE_CHECKING

import aiohttp
import httpx
from aiohttp.client_proto import ResponseHandler
from yarl import URL

from pareta_client.core import RawHeaders, Request, Timeouts
from pareta_client.transport.decoding import decoded_async
from pareta_client.transport.incoming import Incoming, IncomingFromHttpx, gather_into
from pareta_client.transport.tolerant_head import MAX_HEAD_BYTES, MAX_HEADERS, TolerantResponseHandler
from pareta_client.transport.transport_errors import WHILE_CONNECTING

if TYPE_CHECKING:
    from aiohttp.tracing import Trace

KEEPALIVE_S = 15.0
"""Seconds that an idle connection is kept; raising it risks requests on connections that the service has closed."""
LARGE_BODY_BYTES = 64 * 1024
"""A larger body may not fit into the socket buffers, so it gets a send timeout; raising it leaves more without."""
_SKIPPED_HEADERS = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
_TRANSPORT_ERRORS = (aiohttp.ClientError, OSError, ValueError)


class AiohttpChannel:
    """Channel with one aiohttp session, bound to the event loop of the first request."""

    def __init__(self, tls_context: Callable[[], ssl.SSLContext] = httpx.create_ssl_context) -> None:
        self._tls_context = tls_context
        self._session: aiohttp.ClientSession | None = None
        self._streaming: httpx.AsyncHTTPTransport | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def send(self, request: Request, within: float | None) -> Incoming:
        """Send, and return the reply after its head; raise httpx's exceptions.

        The caller cancels the attempt after `within` seconds, so a read timeout that is not shorter needs no timer.
        """
        session = self._open_session()
        if not isinstance(request.content, bytes):
            return IncomingFromHttpx(await self._upload_transport().handle_async_request(request.as_httpx()))
        timeouts = request.timeouts or {}
        try:
            if len(request.content) <= LARGE_BODY_BYTES:
                response = await self._request(session, request, request.content or None, timeouts, within)
            else:
                async with asyncio.timeout(_head_timeout(timeouts)):
                    # As a file, a large body is sent in chunks and does not block the event loop.
                    response = await self._request(session, request, BytesIO(request.content), timeouts, within)
        except _TRANSPORT_ERRORS as error:
            raise translated(error) from error
        return IncomingFromAiohttp(response)

    def _request(
        self,
        session: aiohttp.ClientSession,
        request: Request,
        body: bytes | BytesIO | None,
        timeouts: Timeouts,
        within: float | None,
    ) -> Awaitable[aiohttp.ClientResponse]:
        read_timeout = timeouts.get("read")
        bounded = within is not None and (read_timeout is None or read_timeout >= within)
        url = _url(request.url)
        return session.request(
            request.method,
            url,
            headers=request.headers_sent(),
            data=body,
            allow_redirects=False,
            timeout=_client_timeout(timeouts.get("connect"), None if bounded else read_timeout),
            ssl=self._tls_context() if url.scheme == "https" else True,
        )

    def _open_session(self) -> aiohttp.ClientSession:
        loop = asyncio.get_running_loop()
        if self._session is None:
            self._loop = loop
            self._session = aiohttp.ClientSession(
                connector=_Connector(limit=0, keepalive_timeout=KEEPALIVE_S),
                cookie_jar=aiohttp.DummyCookieJar(),  # no cookies: the API key is the only identification
                skip_auto_headers=_SKIPPED_HEADERS,
                auto_decompress=False,
                max_line_size=MAX_HEAD_BYTES,
                max_field_size=MAX_HEAD_BYTES,
                max_headers=MAX_HEADERS,
            )
        elif self._loop is not loop:
            raise RuntimeError("this client belongs to another event loop; create one client for each loop")
        return self._session

    def _upload_transport(self) -> httpx.AsyncHTTPTransport:
        # aiohttp has no write timeout, so a streamed body (an upload) is sent through httpx.
        if self._streaming is None:
            self._streaming = httpx.AsyncHTTPTransport(verify=self._tls_context())
        return self._streaming

    async def aclose(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
        if self._streaming is not None:
            await self._streaming.aclose()


class _Connector(aiohttp.TCPConnector):
    """aiohttp's connector with the tolerant parser of response heads."""

    def __init__(self, *, limit: int, keepalive_timeout: float) -> None:
        super().__init__(limit=limit, keepalive_timeout=keepalive_timeout)
        # aiohttp's private hook for a connection's protocol; tests/client/test_same_replies.py fails without it.
        handler: type[ResponseHandler] = TolerantResponseHandler
        self._factory = partial(handler, loop=asyncio.get_running_loop())

    async def _create_connection(
        self,
        req: aiohttp.ClientRequest,
        traces: "list[Trace]",
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's signature
    ) -> ResponseHandler:
        try:
            return await super()._create_connection(req, traces, timeout)
        except asyncio.CancelledError as cancelled:
            # The timeout of the attempt may expire first, on a busy loop also together with the connect timeout.
            cancelled.add_note(WHILE_CONNECTING)
            raise


class IncomingFromAiohttp:
    """A reply of aiohttp with an unread body."""

    __slots__ = ("_response", "headers", "status")

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers: RawHeaders = response.raw_headers

    def pieces(self) -> AsyncIterator[bytes]:
        """Yield the decompressed body in chunks; raise httpx's exceptions."""
        return decoded_async(self._chunks(), self.headers) if self._compressed else self._chunks()

    async def read_into(self, body: list[bytes], max_bytes: int) -> bool:
        """Read the decompressed body into a list; return False if it is larger than `max_bytes`."""
        if self._compressed:
            return await gather_into(body, self.pieces(), max_bytes)
        # Without a generator, because every ordinary reply takes this path.
        content, left = self._response.content, max_bytes
        try:
            while piece := await content.readany():
                body.append(piece)
                left -= len(piece)
                if left < 0:
                    return False
        except _TRANSPORT_ERRORS as error:
            raise translated(error) from error
        return True

    async def aclose(self) -> None:
        """Return the connection to the pool if the body was read to its end, otherwise close it."""
        self._response.release()

    @property
    def _compressed(self) -> bool:
        return "Content-Encoding" in self._response.headers

    async def _chunks(self) -> AsyncIterator[bytes]:
        try:
            async for received in self._response.content.iter_any():
                yield received
        except _TRANSPORT_ERRORS as error:
            raise translated(error) from error


@lru_cache(maxsize=256)
def _url(text: str) -> URL:
    # Cached: a URL object caches its parsed parts.
    return URL(text, encoded=True)


@lru_cache(maxsize=256)
def _client_timeout(connect: float | None, read: float | None) -> aiohttp.ClientTimeout:
    # `connect` instead of `sock_connect`, which excludes the DNS lookup.
    return aiohttp.ClientTimeout(total=None, connect=connect, sock_read=read)


def _head_timeout(timeouts: Timeouts) -> float | None:
    """Return the sum of connect, write and read timeout; None if one of them is None."""
    bounds = [timeouts.get(phase) for phase in ("connect", "write", "read")]
    return None if None in bounds else sum(bound or 0.0 for bound in bounds)


def translated(error: Exception) -> httpx.RequestError:
    """Return the equivalent httpx exception; an uncertain case counts as "may have been sent"."""
    return _kind(error)(_reason(error) or type(error).__name__)


def _reason(error: Exception) -> str:
    """Return the cause of the error; aiohttp's message for a refused connection does not contain it."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else None
    if cause is None:
        return str(error)
    if isinstance(cause, ssl.SSLError) or cause.errno is None or cause.errno <= 0:
        return str(cause)
    return f"[Errno {cause.errno}] {os.strerror(cause.errno)}"


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
