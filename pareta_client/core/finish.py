"""Meaning of a `finish_reason` in the spellings of all known engines and gateways."""

from enum import Enum


class Finish(Enum):
    """Reason why the model stopped generating."""

    STOP = "stop"
    """The answer is complete."""
    TOOL_CALLS = "tool_calls"
    """The answer is a tool call or a function call."""
    CUT = "cut"
    """A token limit truncated the answer."""
    FILTERED = "filtered"
    """A content filter removed the answer, or part of it."""
    BROKEN = "broken"
    """The service aborted the answer; the received part is not an answer."""
    UNKNOWN = "unknown"
    """An unknown reason; the answer may be incomplete."""
    ABSENT = "absent"
    """No reason: `null`, an empty text, or no such field."""


_SPELLINGS: dict[Finish, tuple[str, ...]] = {
    Finish.STOP: ("stop", "stop_sequence", "stop_token", "eos", "eos_token", "end_turn", "complete", "completed"),
    Finish.TOOL_CALLS: ("tool_calls", "tool_call", "tool_use", "function_call"),
    Finish.CUT: (
        "length", "max_tokens", "model_length", "max_length", "max_output_tokens", "max_completion_tokens",
        "max_new_tokens", "token_limit", "model_context_window_exceeded", "context_length_exceeded",
    ),
    Finish.FILTERED: (
        "content_filter", "content_filtered", "safety", "image_safety", "refusal", "recitation", "blocklist",
        "prohibited_content", "spii", "sensitive", "guardrail_intervened", "error_toxic",
    ),
    Finish.BROKEN: (
        "abort", "aborted", "error", "cancelled", "canceled", "cancel", "failed", "interrupted", "timeout",
        "network_error", "insufficient_system_resource", "error_limit", "engine_error", "server_error",
        "internal_error",
    ),
}  # fmt: skip
_MEANINGS = {spelling: finish for finish, spellings in _SPELLINGS.items() for spelling in spellings}


def finish_of(reason: str | None) -> Finish:
    """Return the meaning of a `finish_reason`; case, hyphens and surrounding spaces do not matter."""
    if reason == "stop":
        return Finish.STOP
    spelled = (reason or "").strip().lower().replace("-", "_").replace(" ", "_")
    return _MEANINGS.get(spelled, Finish.UNKNOWN) if spelled else Finish.ABSENT
