"""The HTTP request of one attempt, independent of the transport."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import httpx

from pareta_client.core.document import DocumentStream
from pareta_client.secret import Secret

Timeouts = Mapping[str, float | None]
"""Seconds by phase as in httpx: connect, read, write and pool."""
Headers = Sequence[tuple[str, str]]
RawHeaders = Sequence[tuple[bytes, bytes]]
"""Header names and values as received."""


@dataclass(frozen=True, slots=True)
class Request:
    """Method, URL, headers and body; the API key is added at sending, so that no repr and no error contains it.

    Without `timeouts` those of the transport apply.
    """

    method: str
    url: str
    headers: Headers
    content: bytes | DocumentStream = field(default=b"", repr=False)
    timeouts: Timeouts | None = None
    secret: Secret | None = None

    def headers_sent(self) -> list[tuple[str, str]]:
        """Return all headers, including the API key."""
        key = () if self.secret is None else (("Authorization", self.secret.bearer),)
        return [*self.headers, *key]

    def as_httpx(self) -> httpx.Request:
        """Return an httpx.Request, including the API key."""
        # With `stream` instead of `content` httpx adds no headers.
        return httpx.Request(
            self.method,
            self.url,
            headers=self.headers_sent(),
            stream=httpx.ByteStream(self.content) if isinstance(self.content, bytes) else self.content,
            extensions={} if self.timeouts is None else {"timeout": dict(self.timeouts)},
        )
