"""Idempotency: one answer per key, for repeated and for concurrent requests."""

import asyncio
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from pareta_sandbox.http.errors import Refusal, invalid

MAX_KEY_CHARS = 255
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Replay(Generic[Answer]):
    """A stored answer, which is not billed again."""

    answer: Answer


@dataclass(slots=True)
class _Pending:
    fingerprint: bytes
    done: asyncio.Event


class Claim(Generic[Answer]):
    """The right to answer for a key; concurrent requests with the same key wait."""

    def __init__(self, replays: "Replays[Answer]", key: str | None) -> None:
        self._replays = replays
        self._key = key

    def settle(self, answer: Answer) -> None:
        """Store the answer, and release the waiting requests."""
        self._replays._close(self._key, answer)

    def abandon(self) -> None:
        """Release the key without an answer: the next request does the work."""
        self._replays._close(self._key, None)


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

    async def claim(self, key: str | None, fingerprint: bytes) -> Claim[Answer] | Replay[Answer]:
        """Return the stored answer, or the right to produce it; without a key every request is new.

        A key that was used for another request is refused with 422. That is an error of the client, and clients
        never retry this status.
        """
        if key is None:
            return Claim(self, None)
        while pending := self._pending.get(key):
            _check_same_request(pending.fingerprint, fingerprint)
            await pending.done.wait()
        stored = self._store.load(key)
        if stored is not None:
            known, answer = stored
            _check_same_request(known, fingerprint)
            return Replay(answer)
        self._pending[key] = _Pending(fingerprint, asyncio.Event())
        return Claim(self, key)

    def _close(self, key: str | None, answer: Answer | None) -> None:
        if key is None:
            return
        pending = self._pending.pop(key, None)
        if pending is None:
            return
        if answer is not None:
            self._store.save(key, pending.fingerprint, answer)
        pending.done.set()


def idempotency_key(sent: str | None) -> str | None:
    """Return the key of a request; an empty key counts as no key, a too long key is refused with 400."""
    if sent and len(sent) > MAX_KEY_CHARS:
        raise Refusal(400, f"Idempotency-Key is longer than {MAX_KEY_CHARS} characters")
    return sent or None


def _check_same_request(known: bytes, fingerprint: bytes) -> None:
    if known != fingerprint:
        raise invalid(["header", "Idempotency-Key"], "this idempotency key was used with a different request body")
