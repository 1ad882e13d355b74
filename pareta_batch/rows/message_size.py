"""The size of messages: an upper bound of their tokens, because a token has at least one byte."""

import json
from typing import Any

from pareta_batch.rows.attached_files import REFERENCE, tokens_of
from pareta_batch.rows.identity import Message


def bytes_of(message: Message) -> int:
    """Return the bytes of a message without its role; an attached file counts with the bound of its tokens."""
    return sum(_bytes(value) for name, value in message.items() if name != "role")


def _bytes(value: Any) -> int:  # any JSON value
    match value:
        case None:
            return 0
        case str():
            return len(value.encode())
        case [dict(), *_]:
            return sum(map(_part_bytes, value))
        case _:
            return len(json.dumps(value, ensure_ascii=False).encode())


def _part_bytes(part: Any) -> int:  # a content part, or another JSON value
    if not isinstance(part, dict):
        return _bytes(part)
    if part.get("type") == REFERENCE:
        return tokens_of(part)
    return max(tokens_of(part), len(json.dumps(part, ensure_ascii=False).encode()))
