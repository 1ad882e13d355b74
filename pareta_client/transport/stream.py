"""A streamed answer, to iterate over: nothing is sent before the first item is asked for."""

from collections.abc import AsyncGenerator, Generator
from types import TracebackType
from typing import Generic, Self, TypeVar

from pareta_client.core import Progress

T = TypeVar("T")


class _Shown:
    """What a stream tells about itself, complete once it has ended."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    @property
    def received(self) -> int:
        """How many chunks have arrived so far."""
        return self._progress.received

    @property
    def attempts(self) -> int:
        """How many requests it took until the stream began."""
        return self._progress.attempts

    @property
    def request_id(self) -> str | None:
        """The service's id of the request, once the stream has begun."""
        return self._progress.request_id

    @property
    def notes(self) -> tuple[str, ...]:
        """What was odd about the chunks so far, in words."""
        return tuple(self._progress.notes)

    @property
    def billed_micro_usd(self) -> int | None:
        """Micro-USD debited for this answer; 0 on an idempotent replay; None if the service gave no receipt."""
        return self._progress.receipt.billed_micro_usd

    @property
    def frontier_would_have_cost_micro_usd(self) -> int | None:
        """Micro-USD that a frontier model would have cost for the same request."""
        return self._progress.receipt.frontier_would_have_cost_micro_usd

    @property
    def savings_factor(self) -> float | None:
        """How many times cheaper this answer was than a frontier model's; None if unknown or not billed."""
        return self._progress.receipt.savings_factor


class Stream(_Shown, Generic[T]):
    """Items as they arrive; `close()`, a `with` block or dropping it releases the connection early."""

    def __init__(self, items: Generator[T, None, None], progress: Progress) -> None:
        super().__init__(progress)
        self._items = items

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        return next(self._items)

    def close(self) -> None:
        """Stop listening and release the connection."""
        self._items.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncStream(_Shown, Generic[T]):
    """Items as they arrive; `aclose()` or an `async with` block releases the connection early."""

    def __init__(self, items: AsyncGenerator[T, None], progress: Progress) -> None:
        super().__init__(progress)
        self._items = items

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        return await anext(self._items)

    async def aclose(self) -> None:
        """Stop listening and release the connection."""
        await self._items.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
