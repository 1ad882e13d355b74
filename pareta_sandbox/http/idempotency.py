"""Idempotency: one answer per key, for repeated and for concurrent requests."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from pareta_sandbox.http.errors import Refusal, invalid

MAX_KEY_CHARS = 255
Answer = TypeVar("Answer")


@dataclass(slots=True)
class _Pending:
    fingerprint: bytes
    done: asyncio.Event


class Store(Protocol[Answer]):
    """A store of answers by key, each with the hash of its request."""

    def save(self, key: str, fingerprint: bytes, answer: Answer) -> None:
        """Store an answer."""

    def load(self, key: str) -> tuple[bytes, Answer] | None:
        """Return the answer of a key with the hash of its request, or None."""


class MemoryStore(Generic[Answer]):
    """A store of answers in memory."""

    def __init__(self) -> None:
        self._answers: dict[str, tuple[bytes, Answer]] = {}

    def save(self, key: str, fingerprint: bytes, answer: Answer) -> None:
        """Store an answer."""
        self._answers[key] = (fingerprint, answer)

    def load(self, key: str) -> tuple[bytes, Answer] | None:
        """Return the answer of a key with the hash of its request, or None."""
        return self._answers.get(key)


class Replays(Generic[Answer]):
    """Answers of an organisation by idempotency key."""

    def __init__(self, store: Store[Answer] | None = None) -> None:
        self._store: Store[Answer] = store or MemoryStore()
        self._pending: dict[str, _Pending] = {}

    async def once(
        self, key: str | None, fingerprint: bytes, work: Callable[[], Awaitable[Answer]]
    ) -> tuple[Answer, bool]:
        """Return the answer of a key, and whether it was stored before; otherwise `work` produces and stores it.

        Concurrent requests with the same key wait. A failure is not stored: the next request does the work. Without a
        key every request is new. A key that was used for another request is refused with 422. That is an error of the
        client, and clients never retry this status.
        """
        if key is None:
            return await work(), False
        while pending := self._pending.get(key):
            _check_same_request(pending.fingerprint, fingerprint)
            await pending.done.wait()
        if (stored := self._store.load(key)) is not None:
            known, answer = stored
            _check_same_request(known, fingerprint)
            return answer, True
        own = self._pending[key] = _Pending(fingerprint, asyncio.Event())
        try:
            answer = await work()
            self._store.save(key, fingerprint, answer)
        finally:
            del self._pending[key]
            own.done.set()
        return answer, False


def idempotency_key(sent: str | None) -> str | None:
    """Return the key of a request; an empty key counts as no key, a too long key is refused with 400."""
    if sent and len(sent) > MAX_KEY_CHARS:
        raise Refusal(400, f"Idempotency-Key is longer than {MAX_KEY_CHARS} characters")
    return sent or None


def _check_same_request(known: bytes, fingerprint: bytes) -> None:
    if known != fingerprint:
        raise invalid(["header", "Idempotency-Key"], "this idempotency key was used with a different request body")
