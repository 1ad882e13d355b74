"""Replies of an asynchronous channel whose head has been received."""

from collections.abc import AsyncIterator
from typing import Protocol

import httpx

from pareta_client.core import RawHeaders
from pareta_client.transport.decoding import decoded_async


class Incoming(Protocol):
    """A reply whose head has been received; the asynchronous counterpart of an httpx.Response."""

    status: int
    headers: RawHeaders

    def pieces(self) -> AsyncIterator[bytes]:
        """Yield the decompressed body in chunks; raise httpx's exceptions."""
        ...

    async def read_into(self, body: list[bytes], max_bytes: int) -> bool:
        """Read the decompressed body into the list `body`; raise httpx's exceptions.

        Returns False if the body is larger than `max_bytes`; it is then not read to its end.
        """
        ...

    async def aclose(self) -> None:
        """Release the connection."""
        ...


class IncomingFromHttpx:
    """A reply of httpx with an unread body."""

    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self.status = response.status_code
        self.headers: RawHeaders = response.headers.raw

    def pieces(self) -> AsyncIterator[bytes]:
        """Yield the decompressed body in chunks; raise httpx's exceptions."""
        if self._response.is_stream_consumed:  # read by a hook or transport of the caller
            return self._response.aiter_bytes()
        return decoded_async(self._response.aiter_raw(), self.headers)

    async def read_into(self, body: list[bytes], max_bytes: int) -> bool:
        """Read the decompressed body into a list; return False if it is larger than `max_bytes`."""
        return await gather_into(body, self.pieces(), max_bytes)

    async def aclose(self) -> None:
        """Release the connection."""
        await self._response.aclose()


async def gather_into(body: list[bytes], pieces: AsyncIterator[bytes], max_bytes: int) -> bool:
    """Read all chunks into a list; return False if they are larger than `max_bytes`."""
    left = max_bytes
    async for piece in pieces:
        body.append(piece)
        left -= len(piece)
        if left < 0:
            return False
    return True
