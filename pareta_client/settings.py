"""How calls to one service are made: where, with which key, how patiently."""

import ipaddress
import os
import random
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache

import httpx

from pareta_client.core import Tracing, installed_tracing
from pareta_client.errors import ParetaError
from pareta_client.secret import Secret

DEFAULT_BASE_URL = "https://api.pareta.ai"
DEFAULT_MAX_RETRIES = 2
DEFAULT_TIMEOUT = 60.0
_CREDENTIALS = re.compile(r"//[^/?#]*@")
CONNECT_TIMEOUT = 10.0
CONNECT_SHARE = 0.9
"""Share of an attempt's time that connecting may take: below 1, so that a host that never answers is known as such."""
MAX_REPLY_BYTES = 64 * 1024 * 1024
"""Bytes of a success, decompressed, that are read at most; raising it lets one reply take more memory."""

Timeout = float | httpx.Timeout
"""Bounds one attempt, in seconds; an httpx.Timeout bounds its phases instead."""


class InsecureTransportWarning(UserWarning):
    """The key would travel unencrypted over a network."""


@dataclass(frozen=True)
class Options:
    """How patiently one call is made; seconds, None for the default timeout and for no deadline.

    `max_reply_bytes` bounds the decompressed body of a success.
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
    """Everything a call needs beside itself; `jitter` gives 0 to 1, `new_key` an idempotency key nobody used yet."""

    base_url: str
    secret: Secret
    options: Options = Options()
    # Without a timeout of ours, the timeout of the caller's own http_client holds.
    leaves_timeout_to_http_client: bool = False
    tracing: Tracing = field(default_factory=installed_tracing)
    jitter: Callable[[], float] = random.random
    new_key: Callable[[], str] = field(default=lambda: f"pareta-client-{os.urandom(16).hex()}")

    def key(self, given: str | None) -> str:
        """Give the caller's idempotency key, or a new one; raises ValueError for what no header can carry."""
        if given is None:
            return self.new_key()
        if not given or not given.isascii() or not given.isprintable():
            raise ValueError(f"idempotency_key must be printable ASCII, not {given!r}")
        return given

    def patient(
        self,
        max_retries: int | None = None,
        timeout: Timeout | None = None,
        deadline: float | None = None,
        max_reply_bytes: int | None = None,
    ) -> "Settings":
        """Change how patiently calls are made; None keeps what is."""
        if max_retries is None and timeout is None and deadline is None and max_reply_bytes is None:
            return self
        now = self.options
        return replace(
            self,
            options=Options(
                now.max_retries if max_retries is None else max_retries,
                now.timeout if timeout is None else timeout,
                now.deadline if deadline is None else deadline,
                now.max_reply_bytes if max_reply_bytes is None else max_reply_bytes,
            ),
        )


def settings_for(api_key: str | None, base_url: str | None, options: Options, own_http_client: bool) -> Settings:
    """Check what a client was created with; raises ParetaError for what could never work."""
    if not api_key:
        raise ParetaError("missing API key: pass api_key=… or set PARETA_API_KEY (keys are made in the dashboard)")
    if not api_key.isascii() or not api_key.isprintable() or " " in api_key:
        raise ParetaError("the API key has characters that no key has (a space, a line end?): check PARETA_API_KEY")
    url = (base_url or DEFAULT_BASE_URL).rstrip("/")
    _check_base_url(url)
    return Settings(url, Secret(api_key), options, leaves_timeout_to_http_client=own_http_client)


def _check_base_url(text: str) -> None:
    shown = _CREDENTIALS.sub("//…@", text)
    if shown != text:
        raise ParetaError(f"base_url {shown!r} holds a user name or a password; remove it: only the API key is sent")
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise ParetaError(f"base_url {text!r} is not a URL: {error}") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise ParetaError(f"base_url {text!r} must start with https:// (or http:// on this machine) and name a host")
    if url.scheme == "http" and not _is_loopback(url.host):
        warnings.warn(
            f"base_url {text!r} is plain http: the API key would travel unencrypted; use https://",
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


@lru_cache(maxsize=1)
def user_agent() -> str:
    """Name this client and its version."""
    # Not at the top: with all that it brings along it would be a tenth of the client's import.
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"pareta-client-python/{version('pareta-pipelines')}"
    except PackageNotFoundError:
        return "pareta-client-python"
