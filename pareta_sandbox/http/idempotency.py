"""Idempotency: one answer for each key, however often and however concurrently it is asked for."""

import asyncio
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from pareta_sandbox.http.errors import Refusal, invalid

LONGEST_KEY = 255
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Replay(Generic[Answer]):
    """The answer was given before; it is not billed again."""

    answer: Answer


@dataclass(slots=True)
class _Pending:
    fingerprint: bytes
    over: asyncio.Event


class Claim(Generic[Answer]):
    """The right to answer for a key; whoever asks for the same key meanwhile waits."""

    def __init__(self, replays: "Replays[Answer]", key: str | None) -> None:
        self._replays = replays
        self._key = key

    def settle(self, answer: Answer) -> None:
        """Keep the answer, and let those who wait have it."""
        self._replays._close(self._key, answer)

    def abandon(self) -> None:
        """Give the key back unanswered: the next who asks does the work."""
        self._replays._close(self._key, None)


class Store(Protocol[Answer]):
    """Where answers are kept by key, each with the hash of what was asked."""

    def remember(self, key: str, fingerprint: bytes, answer: Answer) -> None:
        """Keep an answer."""

    def recall(self, key: str) -> tuple[bytes, Answer] | None:
        """Return the answer given under a key."""


class Kept(Generic[Answer]):
    """Keep answers in memory."""

    def __init__(self) -> None:
        self._answers: dict[str, tuple[bytes, Answer]] = {}

    def remember(self, key: str, fingerprint: bytes, answer: Answer) -> None:
        """Keep an answer."""
        self._answers[key] = (fingerprint, answer)

    def recall(self, key: str) -> tuple[bytes, Answer] | None:
        """Return the answer given under a key."""
        return self._answers.get(key)


class Replays(Generic[Answer]):
    """Remember the answers of an organisation by idempotency key."""

    def __init__(self, store: Store[Answer] | None = None) -> None:
        self._store: Store[Answer] = store or Kept()
        self._pending: dict[str, _Pending] = {}

    async def claim(self, key: str | None, fingerprint: bytes) -> Claim[Answer] | Replay[Answer]:
        """Return the known answer, or the right to make it; without a key everything is new.

        Refuses with 422 when the key was used for another request: that is a mistake of the caller, and
        a status that is never retried.
        """
        if key is None:
            return Claim(self, None)
        while pending := self._pending.get(key):
            _same(pending.fingerprint, fingerprint)
            await pending.over.wait()
        remembered = self._store.recall(key)
        if remembered is not None:
            known, answer = remembered
            _same(known, fingerprint)
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
            self._store.remember(key, pending.fingerprint, answer)
        pending.over.set()


def idempotency_key(sent: str | None) -> str | None:
    """Return the key a caller sent; an empty one counts as none, a too long one is refused with 400."""
    if sent and len(sent) > LONGEST_KEY:
        raise Refusal(400, f"Idempotency-Key is longer than {LONGEST_KEY} characters")
    return sent or None


def _same(known: bytes, asked: bytes) -> None:
    if known != asked:
        raise invalid(["header", "Idempotency-Key"], "this idempotency key was used with a different request body")
