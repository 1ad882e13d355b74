"""What a `finish_reason` means, however it is spelled."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from pareta_client import Finish, finish_of

MEANINGS: dict[Finish, list[str | None]] = {
    Finish.STOP: ["stop", "STOP", "end_turn", "eos_token", "COMPLETE"],
    Finish.TOOL_CALLS: ["tool_calls", "function_call", "tool_use", "TOOL_CALL"],
    Finish.CUT: ["length", "LENGTH", "max_tokens", "MAX_TOKENS", "model_length", " Max-Tokens "],
    Finish.FILTERED: ["content_filter", "SAFETY", "Content-Filter", "refusal"],
    Finish.BROKEN: ["abort", "ABORT", "error", "cancelled", "canceled", "Cancelled", "insufficient_system_resource"],
    Finish.UNKNOWN: ["vibes", "stopped?", "0", "none", "кон"],
    Finish.ABSENT: [None, "", "  "],
}


@pytest.mark.parametrize(
    ("reason", "finish"), [(reason, finish) for finish, reasons in MEANINGS.items() for reason in reasons]
)
def test_a_reason_has_one_meaning_however_it_is_spelled(reason: str | None, finish: Finish) -> None:
    assert finish_of(reason) is finish


@given(some.text())
def test_no_other_text_is_taken_for_a_complete_answer(reason: str) -> None:
    assert finish_of(f"x{reason}") is not Finish.STOP
