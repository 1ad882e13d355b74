"""From httpx's exceptions to ours, with the one thing that matters for money: was the request sent?"""

import httpx

from pareta_client.errors import APIConnectionError, APITimeoutError

NEVER_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
    httpx.ProxyError,
)
"""With these no byte of the request left; with any other error it may have reached the service."""
WHILE_CONNECTING = "while connecting"
"""A note on what ended an attempt before it had a connection."""
_PORTS = {"http": 80, "https": 443}
UNREACHABLE = (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol, httpx.ProxyError)
"""With these no connection was opened at all; httpx.PoolTimeout says only that none was free."""


def connection_error(error: Exception, url: str | None) -> APIConnectionError:
    """Translate what a transport raised; `url` is where the request was meant to go."""
    kind = APITimeoutError if isinstance(error, httpx.TimeoutException) else APIConnectionError
    never_sent, unreachable = isinstance(error, NEVER_SENT), isinstance(error, UNREACHABLE)
    reason = f"{type(error).__name__}: {error or 'no reason given'}"
    if unreachable and url is not None:
        message = f"no connection to {place_of(url)}: {reason} (never sent); check base_url and the network"
    else:
        message = f"{reason} ({'never sent' if never_sent else 'may have been sent'})"
    return kind(message, cause=error, never_sent=never_sent, unreachable=unreachable)


def place_of(url: str) -> str:
    """Return scheme, host and port of a URL: neither its credentials nor its path."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        return "an invalid URL"
    host = f"[{parsed.host}]" if ":" in parsed.host else parsed.host
    return f"{parsed.scheme}://{host}:{parsed.port or _PORTS.get(parsed.scheme, 0)}"


def out_of_time(seconds: float | None) -> APITimeoutError:
    """Return the error for an attempt that took too long in all."""
    return APITimeoutError(f"no complete answer within {seconds or 0.0:.3g}s (may have been sent)", never_sent=False)


def too_late(late: TimeoutError, seconds: float | None, url: str) -> APIConnectionError:
    """Return the error for an attempt that a bound ended; while it was connecting, nothing had been sent."""
    if WHILE_CONNECTING in getattr(late.__cause__, "__notes__", ()):
        return connection_error(httpx.ConnectTimeout(f"no connection within {seconds or 0.0:.3g}s"), url)
    return out_of_time(seconds)


def no_place(seconds: float | None) -> APITimeoutError:
    """Make the error for a request that waited for a free connection until its deadline."""
    return APITimeoutError(f"no free connection within {seconds or 0.0:.3g}s (never sent)", never_sent=True)
