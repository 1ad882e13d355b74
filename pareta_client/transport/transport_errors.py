"""Translation of httpx's exceptions to errors of this client, with `never_sent`: whether a retry is safe."""

import httpx

from pareta_client.errors import APIConnectionError, APITimeoutError

NEVER_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
    httpx.ProxyError,
)
"""Exceptions before the first byte was sent; after any other exception the service may have the request."""
WHILE_CONNECTING = "while connecting"
"""Note on a cancellation that happened before the connection was open."""
_PORTS = {"http": 80, "https": 443}
UNREACHABLE = (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol, httpx.ProxyError)
"""Exceptions without an open connection; httpx.PoolTimeout means only that no connection was free."""


def connection_error(error: Exception, url: str | None) -> APIConnectionError:
    """Return the error for an exception of a transport; `url` is that of the request."""
    kind = APITimeoutError if isinstance(error, httpx.TimeoutException) else APIConnectionError
    never_sent, unreachable = isinstance(error, NEVER_SENT), isinstance(error, UNREACHABLE)
    reason = f"{type(error).__name__}: {error or 'no reason given'}"
    if unreachable and url is not None:
        message = f"no connection to {origin_of(url)}: {reason} (never sent); check base_url and the network"
    else:
        message = f"{reason} ({'never sent' if never_sent else 'may have been sent'})"
    return kind(message, cause=error, never_sent=never_sent, unreachable=unreachable)


def origin_of(url: str) -> str:
    """Return scheme, host and port of a URL, without credentials and path."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        return "an invalid URL"
    host = f"[{parsed.host}]" if ":" in parsed.host else parsed.host
    return f"{parsed.scheme}://{host}:{parsed.port or _PORTS.get(parsed.scheme, 0)}"


def attempt_timed_out(seconds: float | None) -> APITimeoutError:
    """Return the error for an attempt that exceeded its timeout."""
    return APITimeoutError(f"no complete reply within {seconds or 0.0:.3g}s (may have been sent)", never_sent=False)


def timed_out(error: TimeoutError, seconds: float | None, url: str) -> APIConnectionError:
    """Return the error for an attempt that a timeout ended; nothing was sent if it was still connecting."""
    if WHILE_CONNECTING in getattr(error.__cause__, "__notes__", ()):
        return connection_error(httpx.ConnectTimeout(f"no connection within {seconds or 0.0:.3g}s"), url)
    return attempt_timed_out(seconds)


def no_free_connection(seconds: float | None) -> APITimeoutError:
    """Return the error for a request that waited for a connection slot until its deadline."""
    return APITimeoutError(f"no free connection within {seconds or 0.0:.3g}s (never sent)", never_sent=True)
