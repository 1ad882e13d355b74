"""Columns for parts of a reply besides its text: tool calls, reasoning and logprobs of the first choice."""

from collections.abc import Mapping
from typing import Any

Message = Any  # a message, or the list of all choices: any JSON value


def message_columns(message: Message) -> dict[str, object]:
    """Return the tool calls, the reasoning and the logprobs of a reply; None for those it does not have."""
    choice = message[0] if isinstance(message, list) and message else {"message": message}
    if not isinstance(choice, Mapping):
        return {}
    first = choice.get("message")
    own = first if isinstance(first, Mapping) else {}
    return {
        "tool_calls": own.get("tool_calls") or own.get("function_call"),
        "reasoning": own.get("reasoning_content") or own.get("reasoning"),
        "logprobs": choice.get("logprobs") or own.get("logprobs"),
    }
