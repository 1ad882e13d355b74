"""From a completion to the fields of its row's outcome."""

from typing import Any

import pytest

from pareta_batch.engine.reply_outcome import reply_fields
from pareta_client import ChatCompletion

TEXT = {"type": "text", "text": "a"}
THOUGHT = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}


def fields_of(*choices: dict[str, Any]) -> dict[str, Any]:
    return reply_fields(ChatCompletion.model_validate({"choices": list(choices)}, context=[]))


def choice(content: object, **more: object) -> dict[str, Any]:
    return {"message": {"role": "assistant", "content": content}, "finish_reason": "stop", **more}


@pytest.mark.parametrize(
    ("content", "answer", "flag"),
    [
        ("a", "a", None),
        ([TEXT], "a", None),
        (["a", "b"], "ab", None),
        ([{"text": "a"}], "a", None),
        ([{"type": "text", "text": {"value": "a"}}], "a", None),
        ([THOUGHT, TEXT, None], "a", None),
        ([], "", "empty"),
        (None, None, "empty"),
        ([{"type": "text", "text": ""}], "", "empty"),
        ([{"type": "refusal", "refusal": "no"}], '[{"type": "refusal", "refusal": "no"}]', "unclear"),
        ([{"type": "text", "text": 7}], '[{"type": "text", "text": 7}]', "unclear"),
        ([["a"]], '[["a"]]', "unclear"),
        ([None], "[null]", "unclear"),
        ({}, "{}", "unclear"),
        (0, "0", "unclear"),
        (False, "false", "unclear"),
    ],
)
def test_what_is_kept_as_json_is_flagged(content: object, answer: str | None, flag: str | None) -> None:
    fields = fields_of(choice(content))
    assert (fields["answer"], fields["flag"]) == (answer, flag)


def test_a_later_choice_with_an_error_is_flagged() -> None:
    assert fields_of(choice("a"), choice("b"))["flag"] is None
    fields = fields_of(choice("a"), choice("b", error={"message": "died"}))
    assert (fields["answer"], fields["flag"]) == ("a", "unclear")
    assert "died" in fields["message"]
