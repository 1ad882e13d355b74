"""Prompts against the dataset's columns: what names no column is refused before anything is paid."""

from pathlib import Path
from typing import Any

import pytest

from pareta_batch.errors import DatasetError
from pareta_batch.rows.identity import fingerprint
from pareta_batch.rows.requests import row_requests
from tests.batch.batches import ENDPOINT, batch_in


def refused(folder: Path, **changes: Any) -> list[str]:
    with pytest.raises(DatasetError) as caught:
        list(row_requests(batch_in(folder, **changes)))
    return list(caught.value.problems)


@pytest.mark.parametrize("prompt", ["hello", "{{braces}}", "$text", "%(text)s", "<text>", "[[text]]"])
def test_a_prompt_without_a_column_is_refused_and_the_columns_are_named(tmp_path: Path, prompt: str) -> None:
    (problem,) = refused(tmp_path, prompt=prompt)
    assert problem.endswith("no column, so all rows would have the same prompt; use one of: {id}, {text}")
    assert repr(prompt) in problem


@pytest.mark.parametrize("prompt", ["{{ text }}", "{{text}}", "{{ text | upper }}", "{{row.text}}", "{{- text -}}"])
def test_a_prompt_in_jinja_is_told_how_to_write_it(tmp_path: Path, prompt: str) -> None:
    assert refused(tmp_path, prompt=prompt) == [
        "prompt: {{ text }} is Jinja syntax; write {text}, or set template: jinja"
    ]


def test_one_column_in_jinja_beside_another_is_refused_too(tmp_path: Path) -> None:
    hint = "{{ text }} is Jinja syntax; write {text}, or set template: jinja"
    assert refused(tmp_path, prompt="{id}: {{ text }}") == [f"prompt: {hint}"]
    assert refused(tmp_path, system_prompt="Row {{ text }}") == [f"system_prompt: {hint}"]


def test_a_column_in_doubled_braces_is_text_where_others_are_filled_in(tmp_path: Path) -> None:
    ask, *_ = row_requests(batch_in(tmp_path, prompt="Answer as {{text}}: {text}"))
    assert ask.messages[-1]["content"] == "Answer as {text}: My invoice number 0 is wrong."


def test_a_system_prompt_takes_columns_as_the_prompt_does(tmp_path: Path) -> None:
    ask, *_ = row_requests(batch_in(tmp_path, prompt="Which team?", system_prompt='About {id}: {text}. {{"a": 1}}'))
    system, user = (message["content"] for message in ask.messages)
    assert system == 'About r0: My invoice number 0 is wrong.. {"a": 1}'
    assert user == "Which team?"


def test_a_system_prompt_without_braces_is_sent_as_it_is_and_keeps_its_fingerprint(tmp_path: Path) -> None:
    batch = batch_in(tmp_path, 1, system_prompt="Be brief.\n% and # are text.")
    (ask,) = row_requests(batch)
    user = {"role": "user", "content": "Which team? My invoice number 0 is wrong."}
    sent = [{"role": "system", "content": "Be brief.\n% and # are text."}, user]
    assert ask.fingerprint == fingerprint(ENDPOINT, sent, {"max_tokens": 10})


@pytest.mark.parametrize(
    ("system_prompt", "said"),
    [
        ('Answer as\n{"team": 1}', 'system_prompt: {"team": 1} at line 2, character 1 (\'{"team": 1}\') may contain a'),
        (
            "Answer {as}",
            "has no column 'as'; it has: id, text (named in the system prompt; text in braces is written {{as}})",
        ),
        ("Answer }", "system_prompt: a single '}' at line 1, character 8"),
    ],
)
def test_braces_in_a_system_prompt_are_refused_with_place_and_escape(
    tmp_path: Path, system_prompt: str, said: str
) -> None:
    (problem,) = refused(tmp_path, system_prompt=system_prompt)
    assert said in problem
    assert "{{" in problem


def test_a_value_that_only_the_system_prompt_names_is_missed_by_its_name(tmp_path: Path) -> None:
    (problem,) = refused(tmp_path, rows=[{"id": "a", "text": "x", "lang": None}], system_prompt="In {lang}")
    assert problem.endswith("line 1: no value for column 'lang', which the system prompt names")
