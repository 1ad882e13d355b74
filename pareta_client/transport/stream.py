"""Iterators over streamed replies; the request is sent with the first iteration."""

from collections.abc import AsyncGenerator, Generator
from types import TracebackType
from typing import Generic, Self, TypeVar

from pareta_client.core import Progress

T = TypeVar("T")


class _StreamStatus:
    """Status of a stream; final after its end."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    @property
    def received(self) -> int:
        """Number of chunks received so far."""
        return self._progress.received

    @property
    def attempts(self) -> int:
        """Number of requests sent until the stream began."""
        return self._progress.attempts

    @property
    def request_id(self) -> str | None:
        """Request id of the service; None before the stream begins."""
        return self._progress.request_id

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes on invalid values in the chunks so far."""
        return tuple(self._progress.notes)

    @property
    def billed_micro_usd(self) -> int | None:
        """Micro-USD debited for this answer; 0 on an idempotent replay; None without a receipt."""
        return self._progress.receipt.billed_micro_usd

    @property
    def frontier_would_have_cost_micro_usd(self) -> int | None:
        """Micro-USD that a frontier model would have cost for the same request."""
        return self._progress.receipt.frontier_would_have_cost_micro_usd

    @property
    def savings_factor(self) -> float | None:
        """Frontier cost divided by billed cost; None if unknown or not billed."""
        return self._progress.receipt.savings_factor


class Stream(_StreamStatus, Generic[T]):
    """Blocking iterator over a stream; `close()`, `with` or garbage collection releases the connection early."""

    def __init__(self, items: Generator[T, None, None], progress: Progress) -> None:
        super().__init__(progress)
        self._items = items

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        return next(self._items)

    def close(self) -> None:
        """Close the stream and release the connection."""
        self._items.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncStream(_StreamStatus, Generic[T]):
    """Asynchronous iterator over a stream; `aclose()` or `async with` releases the connection early."""

    def __init__(self, items: AsyncGenerator[T, None], progress: Progress) -> None:
        super().__init__(progress)
        self._items = items

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        return await anext(self._items)

    async def aclose(self) -> None:
        """Close the stream and release the connection."""
        await self._items.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
