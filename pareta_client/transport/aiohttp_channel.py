"""A channel over aiohttp's client: httpx's exceptions, aiohttp's speed.

httpx's own pool is scanned whole for each request, which is quadratic in the number in flight; aiohttp's is not. What
matters more than speed is that an error never claims a request was not sent when it may have been: `_kind` is the
table, and tests/client/test_faults.py holds it against httpx's own transport, fault by fault.

The pool has no bound of its own: it holds as many connections as there were requests in flight.
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
from pareta_client.transport.channel import Incoming, IncomingFromHttpx, gather_into
from pareta_client.transport.decoding import decoded_async
from pareta_client.transport.tolerant_head import LONGEST_HEAD, MOST_HEADERS, TolerantResponseHandler
from pareta_client.transport.transport_errors import WHILE_CONNECTING

if TYPE_CHECKING:
    from aiohttp.tracing import Trace

KEPT_ALIVE = 15.0
"""Seconds that an idle connection is kept; services often close theirs not much later."""
LARGE_BODY = 64 * 1024
"""Bytes beyond which a body may not fit into the socket's buffers, so that sending it can hang."""
_NO_HEADERS_OF_ITS_OWN = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
_FAULTS = (aiohttp.ClientError, OSError, ValueError)


class AiohttpChannel:
    """Sends requests through one aiohttp session, on the event loop of the first request."""

    def __init__(self, tls_context: Callable[[], ssl.SSLContext] = httpx.create_ssl_context) -> None:
        self._tls_context = tls_context
        self._session: aiohttp.ClientSession | None = None
        self._streaming: httpx.AsyncHTTPTransport | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def send(self, request: Request, within: float | None) -> Incoming:
        """Send, and give the answer as soon as its head is there; raises httpx's exceptions.

        Within so many seconds the caller ends the whole attempt, so that longer pauses need no timer of their own.
        """
        session = self._opened()
        if not isinstance(request.content, bytes):
            return IncomingFromHttpx(await self._streamed().handle_async_request(request.as_httpx()))
        timeouts = request.timeouts or {}
        try:
            if len(request.content) <= LARGE_BODY:
                response = await self._ask(session, request, request.content or None, timeouts, within)
            else:
                async with asyncio.timeout(_until_head(timeouts)):
                    # As a file, a large body is sent in pieces and does not hold up the event loop.
                    response = await self._ask(session, request, BytesIO(request.content), timeouts, within)
        except _FAULTS as error:
            raise translated(error) from error
        return IncomingFromAiohttp(response)

    def _ask(
        self,
        session: aiohttp.ClientSession,
        request: Request,
        body: bytes | BytesIO | None,
        timeouts: Timeouts,
        within: float | None,
    ) -> Awaitable[aiohttp.ClientResponse]:
        pause = timeouts.get("read")
        bounded = within is not None and (pause is None or pause >= within)
        url = _url(request.url)
        return session.request(
            request.method,
            url,
            headers=request.headers_sent(),
            data=body,
            allow_redirects=False,
            timeout=_client_timeout(timeouts.get("connect"), None if bounded else pause),
            ssl=self._tls_context() if url.scheme == "https" else True,
        )

    def _opened(self) -> aiohttp.ClientSession:
        loop = asyncio.get_running_loop()
        if self._session is None:
            self._loop = loop
            self._session = aiohttp.ClientSession(
                connector=_Connector(limit=0, keepalive_timeout=KEPT_ALIVE),
                cookie_jar=aiohttp.DummyCookieJar(),  # the key is all that the service knows a caller by
                skip_auto_headers=_NO_HEADERS_OF_ITS_OWN,
                auto_decompress=False,
                max_line_size=LONGEST_HEAD,
                max_field_size=LONGEST_HEAD,
                max_headers=MOST_HEADERS,
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
        if self._session is not None:
            await self._session.close()
        if self._streaming is not None:
            await self._streaming.aclose()


class _Connector(aiohttp.TCPConnector):
    """aiohttp's connector, with heads read as httpx reads them."""

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
            # The bound on the whole attempt may run out first, on a busy loop also together with that on connecting.
            cancelled.add_note(WHILE_CONNECTING)
            raise


class IncomingFromAiohttp:
    """An answer of aiohttp's, its body still to be read."""

    __slots__ = ("_response", "headers", "status")

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers: RawHeaders = response.raw_headers

    def pieces(self) -> AsyncIterator[bytes]:
        """Yield the decompressed body as it arrives; raises httpx's exceptions."""
        return decoded_async(self._arriving(), self.headers) if self._compressed else self._arriving()

    async def read_into(self, body: list[bytes], most: int) -> bool:
        """Read the decompressed body; returns False if it is larger than `most` bytes."""
        if self._compressed:
            return await gather_into(body, self.pieces(), most)
        # Not through a generator of pieces: this is the way of every ordinary answer.
        content, left = self._response.content, most
        try:
            while piece := await content.readany():
                body.append(piece)
                left -= len(piece)
                if left < 0:
                    return False
        except _FAULTS as error:
            raise translated(error) from error
        return True

    async def aclose(self) -> None:
        """Give a connection whose answer was read to its end back to the pool; close any other."""
        self._response.release()

    @property
    def _compressed(self) -> bool:
        return "Content-Encoding" in self._response.headers

    async def _arriving(self) -> AsyncIterator[bytes]:
        try:
            async for received in self._response.content.iter_any():
                yield received
        except _FAULTS as error:
            raise translated(error) from error


@lru_cache(maxsize=256)
def _url(text: str) -> URL:
    # The same object each time: it remembers its parts.
    return URL(text, encoded=True)


@lru_cache(maxsize=256)
def _client_timeout(connect: float | None, read: float | None) -> aiohttp.ClientTimeout:
    # `connect` rather than `sock_connect`, which would leave out the look-up of the host's name.
    return aiohttp.ClientTimeout(total=None, connect=connect, sock_read=read)


def _until_head(timeouts: Timeouts) -> float | None:
    """Give the bound for connecting, sending and waiting together; None if one of them has none."""
    bounds = [timeouts.get(phase) for phase in ("connect", "write", "read")]
    return None if None in bounds else sum(bound or 0.0 for bound in bounds)


def translated(error: Exception) -> httpx.RequestError:
    """Say in httpx's words what went wrong; what is not known for certain counts as "may have been sent"."""
    return _kind(error)(_reason(error) or type(error).__name__)


def _reason(error: Exception) -> str:
    """Return why; aiohttp says of a refused connection only that the call failed."""
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
