"""Settings of a client: base URL, API key, timeouts and retries."""

import ipaddress
import os
import random
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import httpx

from pareta_client.core import Tracing, installed_tracing
from pareta_client.errors import ParetaError
from pareta_client.secret import Secret
from pareta_client.version import __version__

DEFAULT_BASE_URL = "https://api.pareta.ai"
DEFAULT_MAX_RETRIES = 2
"""Further attempts; raising it hides longer outages and delays their errors."""
DEFAULT_TIMEOUT = 60.0
"""Seconds for one attempt; raising it detects a hanging service later."""
_CREDENTIALS = re.compile(r"//[^/?#]*@")
CONNECT_TIMEOUT = 10.0
"""Seconds for connecting; raising it detects an unreachable host later."""
CONNECT_SHARE = 0.9
"""Fraction of an attempt's timeout for connecting; below 1, so that an unreachable host fails as a connect timeout."""
MAX_REPLY_BYTES = 64 * 1024 * 1024
"""Limit of the decompressed body of a successful reply; raising it lets one reply use more memory."""

Timeout = float | httpx.Timeout
"""Seconds for one attempt, or an httpx.Timeout for its phases."""


class InsecureTransportWarning(UserWarning):
    """The key would be sent unencrypted over a network."""


@dataclass(frozen=True)
class Options:
    """Timeout and retry options of a call.

    Times are in seconds; None is the default timeout, and no deadline. `max_reply_bytes` limits the decompressed body
    of a successful reply.
    """

    max_retries: int = DEFAULT_MAX_RETRIES
    timeout: Timeout | None = None
    deadline: float | None = None
    max_reply_bytes: int = MAX_REPLY_BYTES

    def __post_init__(self) -> None:
        object.__setattr__(self, "max_retries", max(0, int(self.max_retries)))
        if isinstance(self.timeout, int | float) and not self.timeout > 0:
            raise ValueError(f"timeout must be positive seconds, not {self.timeout!r}")
        if self.deadline is not None and not self.deadline > 0:
            raise ValueError(f"deadline must be positive seconds, not {self.deadline!r}")
        if self.max_reply_bytes < 1:
            raise ValueError(f"max_reply_bytes must be a positive number of bytes, not {self.max_reply_bytes!r}")


@dataclass(frozen=True)
class Settings:
    """Settings that all calls share; `jitter` returns 0 to 1 and `new_key` a new idempotency key."""

    base_url: str
    secret: Secret
    options: Options = Options()
    # Without a timeout option, the timeout of the passed http_client applies.
    leaves_timeout_to_http_client: bool = False
    tracing: Tracing = field(default_factory=installed_tracing)
    jitter: Callable[[], float] = random.random
    new_key: Callable[[], str] = field(default=lambda: f"pareta-client-{os.urandom(16).hex()}")

    def key(self, idempotency_key: str | None) -> str:
        """Return the given idempotency key or a new one; raise ValueError if it is not valid in a header."""
        if idempotency_key is None:
            return self.new_key()
        if not idempotency_key or not idempotency_key.isascii() or not idempotency_key.isprintable():
            raise ValueError(f"idempotency_key must be printable ASCII, not {idempotency_key!r}")
        return idempotency_key

    def with_options(
        self,
        max_retries: int | None = None,
        timeout: Timeout | None = None,
        deadline: float | None = None,
        max_reply_bytes: int | None = None,
    ) -> "Settings":
        """Return settings with other options; None keeps the present value."""
        if max_retries is None and timeout is None and deadline is None and max_reply_bytes is None:
            return self
        present = self.options
        return replace(
            self,
            options=Options(
                present.max_retries if max_retries is None else max_retries,
                present.timeout if timeout is None else timeout,
                present.deadline if deadline is None else deadline,
                present.max_reply_bytes if max_reply_bytes is None else max_reply_bytes,
            ),
        )


def settings_for(api_key: str | None, base_url: str | None, options: Options, own_http_client: bool) -> Settings:
    """Return the settings of a new client; raise ParetaError for a missing key, an invalid key or an invalid URL."""
    if not api_key:
        raise ParetaError("missing API key: pass api_key=… or set PARETA_API_KEY (the dashboard creates keys)")
    if not api_key.isascii() or not api_key.isprintable() or " " in api_key:
        raise ParetaError("the API key contains invalid characters (a space or a line end?): check PARETA_API_KEY")
    url = (base_url or DEFAULT_BASE_URL).rstrip("/")
    _check_base_url(url)
    return Settings(url, Secret(api_key), options, leaves_timeout_to_http_client=own_http_client)


def _check_base_url(text: str) -> None:
    shown = _CREDENTIALS.sub("//…@", text)
    if shown != text:
        raise ParetaError(f"base_url {shown!r} contains a user name or a password; remove it: only the API key is sent")
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise ParetaError(f"base_url {text!r} is not a URL: {error}") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise ParetaError(f"base_url {text!r} must start with https:// (or http:// on this machine) and name a host")
    if url.scheme == "http" and not _is_loopback(url.host):
        warnings.warn(
            f"base_url {text!r} is plain http: the API key would be sent unencrypted; use https://",
            InsecureTransportWarning,
            stacklevel=4,
        )


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def user_agent() -> str:
    """Return the name and version of this client."""
    return f"pareta-client-python/{__version__}"
