"""The size of messages: an upper bound of their tokens, because a token has at least one byte."""

import json
from typing import Any

from pareta_batch.rows.identity import Message


def bytes_of(message: Message) -> int:
    """Return the bytes of a message without its role: texts as UTF-8, other values as JSON."""
    return sum(_bytes(value) for name, value in message.items() if name != "role")


def _bytes(value: Any) -> int:  # any JSON value
    if value is None:
        return 0
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return len(text.encode())
