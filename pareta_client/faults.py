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
UNREACHABLE = (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol, httpx.ProxyError)
"""With these no connection was opened at all; httpx.PoolTimeout says only that none was free."""


def connection_error(error: Exception) -> APIConnectionError:
    """Translate what a transport raised."""
    kind = APITimeoutError if isinstance(error, httpx.TimeoutException) else APIConnectionError
    never_sent = isinstance(error, NEVER_SENT)
    sent = "never sent" if never_sent else "may have been sent"
    return kind(
        f"{type(error).__name__}: {error or 'no reason given'} ({sent})",
        cause=error,
        never_sent=never_sent,
        unreachable=isinstance(error, UNREACHABLE),
    )


def out_of_time(seconds: float | None) -> APITimeoutError:
    """Make the error for an attempt that took too long in all."""
    return APITimeoutError(f"no complete answer within {seconds or 0.0:.3g}s (may have been sent)", never_sent=False)


def no_place(seconds: float | None) -> APITimeoutError:
    """Make the error for a request that waited for a free connection until its deadline."""
    return APITimeoutError(f"no free connection within {seconds or 0.0:.3g}s (never sent)", never_sent=True)
