"""One attempt, ready to be sent: what every transport needs to know, and no more."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import httpx

from pareta_client.core.document import DocumentStream
from pareta_client.secret import Secret

Timeouts = Mapping[str, float | None]
"""httpx's: connect, read, write and pool, in seconds."""
Headers = Sequence[tuple[str, str]]
RawHeaders = Sequence[tuple[bytes, bytes]]
"""As they came over the wire."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent; the key joins the headers only on the way out, so that no repr and no error shows it.

    Without `timeouts` those of the transport hold.
    """

    method: str
    url: str
    headers: Headers
    content: bytes | DocumentStream = field(default=b"", repr=False)
    timeouts: Timeouts | None = None
    secret: Secret | None = None

    def headers_sent(self) -> list[tuple[str, str]]:
        """Give all headers, with the key."""
        key = () if self.secret is None else (("Authorization", self.secret.bearer),)
        return [*self.headers, *key]

    def as_httpx(self) -> httpx.Request:
        """Give the request as httpx's, with the key."""
        # With a stream instead of content httpx takes the headers as they are.
        return httpx.Request(
            self.method,
            self.url,
            headers=self.headers_sent(),
            stream=httpx.ByteStream(self.content) if isinstance(self.content, bytes) else self.content,
            extensions={} if self.timeouts is None else {"timeout": dict(self.timeouts)},
        )
