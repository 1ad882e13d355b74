"""The question of a batch: prompt, messages or a chat history; checked for every row before anything is sent."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pareta_batch.errors import DatasetError
from pareta_batch.ledger.ledger import Ledger
from pareta_batch.rows.identity import Message, idempotency_key
from pareta_batch.rows.placeholders import value_of
from pareta_batch.rows.requests import RowRequest, row_requests
from pareta_sandbox.testing import Sandbox
from tests.batch.batches import batch_in, read_answers, run, write_rows

ROW: dict[str, object] = {"id": "a", "text": "Hello", "meta": {"tags": ["x", {"n": 2}], "none": None}, "a.b": "dotted"}


def messages_of(folder: Path, rows: Sequence[Any] = (ROW,), **changes: Any) -> list[list[Message]]:
    """Return the messages of each row."""
    changes = {"prompt": None, **changes}
    return [list(request.messages) for request in row_requests(batch_in(folder, rows, **changes))]


def problems_of(folder: Path, rows: Sequence[Any] = (ROW,), **changes: Any) -> list[str]:
    with pytest.raises(DatasetError) as caught:
        messages_of(folder, rows, **changes)
    return list(caught.value.problems)


def test_the_identity_of_a_request_is_that_of_earlier_versions(tmp_path: Path) -> None:
    (request,) = row_requests(batch_in(tmp_path, 1, system_prompt="Be brief."))
    assert identity(request) == (
        "bcb42a3925a361f37e5e70bd6f092aec4c8e59ff934d10e8f15f94f39603d516",
        "pb1-0b891c8950697743e97d34374b78ed3d01f6af183f6270e63f84bb8a0a402843",
    )
    templates = [{"role": "system", "content": "S"}, {"role": "user", "content": "{meta.tags[0]}"}]
    examples = str(write_rows(tmp_path / "examples.jsonl", EXAMPLES))
    (request,) = row_requests(batch_in(tmp_path, [ROW], prompt=None, messages=templates, examples=examples))
    assert identity(request) == (
        "4079ff289fb6fd0abc1e494d368653d017b72d7833e3381d0ab4b536bfe4ebd1",
        "pb1-b7fca38d575f07933fd77f5f0ce07c03650f8c4aef350bb0ca9844c343166f84",
    )
    (request,) = row_requests(batch_in(tmp_path, [{**ROW, "chat": CHAT}], prompt=None, messages_column="chat"))
    assert identity(request) == (
        "13314fde265cae11d07bda76bfcdcbcf46aaee226f293b7c41fce165f5a6bad4",
        "pb1-70e72fb526ac8448e3c36242db10cdecd8297fb23001fb2af4c87b00cd9aafe4",
    )


def identity(request: RowRequest) -> tuple[str, str]:
    return request.fingerprint, idempotency_key("test", request.key, request.fingerprint)


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"prompt": None}, "none of them"),
        ({"messages": [{"role": "user", "content": "{text}"}]}, "prompt and messages"),
        ({"messages_column": "text"}, "prompt and messages_column"),
        ({"prompt": None, "messages": [{"role": "user", "content": "x"}], "messages_column": "text"}, "messages and"),
    ],
)
def test_a_question_has_exactly_one_source(tmp_path: Path, given: dict[str, Any], found: str) -> None:
    with pytest.raises(ValidationError, match=f"exactly one of prompt, messages, messages_column; it has .*{found}"):
        batch_in(tmp_path, **given)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"messages": []}, "at least 1"),
        ({"messages": [{"role": "robot", "content": "{text}"}]}, "'system', 'developer', 'user' or 'assistant'"),
        ({"messages": [{"role": "system", "content": "{text}"}]}, "there is no question"),
        (
            {"messages": [{"role": "user", "content": "{text}"}], "system_prompt": "x"},
            "as a message of the role system",
        ),
    ],
)
def test_messages_that_ask_nothing_are_refused(tmp_path: Path, given: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        batch_in(tmp_path, prompt=None, **given)


def test_messages_are_rendered_in_order(tmp_path: Path) -> None:
    spec = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "About {meta.tags[0]}"},
        {"role": "assistant", "content": "Yes?"},
        {"role": "user", "content": "{text}"},
    ]
    assert messages_of(tmp_path, messages=spec) == [
        [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "About x"},
            {"role": "assistant", "content": "Yes?"},
            {"role": "user", "content": "Hello"},
        ]
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("text", "Hello"),
        ("a.b", "dotted"),
        ("meta.tags[0]", "x"),
        ("meta.tags[-1].n", "2"),
        ("meta.tags[1]", '{"n": 2}'),
    ],
)
def test_a_path_reads_into_a_value_and_a_column_of_that_name_comes_first(tmp_path: Path, name: str, value: str) -> None:
    ((message,),) = messages_of(tmp_path, prompt=f"{{{name}}}")
    assert message["content"] == value


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("meta.none", "no value for column 'meta.none', which the prompt names"),
        ("meta.tags[7]", "no value for column 'meta.tags[7]'"),
        ("meta.other.deeper", "no value for column 'meta.other.deeper'"),
        ("text.field", "'text' is no object, so it has no '.field'"),
        ("meta[0]", "'meta' is an object, so it has no '[0]'"),
        ("meta.tags.x", "'meta.tags' is a list, so it has no '.x'"),
        ("nowhere.x", "has no column 'nowhere.x'; it has: id, text, meta, a.b (named in the prompt)"),
        ("meta.[0]", "has no column 'meta.[0]'"),
    ],
)
def test_a_path_that_leads_nowhere_is_refused_with_its_row(tmp_path: Path, name: str, problem: str) -> None:
    (found,) = problems_of(tmp_path, prompt=f"{{{name}}}")
    assert problem in found
    assert "rows.jsonl" in found


names = st.text(st.characters(exclude_characters=".[]", codec="utf-8"), min_size=1, max_size=4)
nested = st.recursive(
    st.integers() | st.text(max_size=3), lambda inner: st.dictionaries(names, inner, max_size=3), max_leaves=8
)


@given(st.dictionaries(names, nested, min_size=1, max_size=4))
def test_every_leaf_of_a_row_has_a_path(row: dict[str, Any]) -> None:
    def leaves(value: Any, path: str) -> None:
        if isinstance(value, dict):
            for name, inner in value.items():
                leaves(inner, f"{path}.{name}")
        else:
            assert value_of(path, row) == value

    for name, value in row.items():
        leaves(value, name)


EXAMPLES: list[dict[str, object]] = [{"user": "1+1", "assistant": "2"}, {"user": "{braces}", "assistant": {"n": 3}}]


def test_examples_follow_the_system_message_and_are_not_templates(tmp_path: Path) -> None:
    file = str(write_rows(tmp_path / "examples.jsonl", EXAMPLES))
    shown = [
        {"role": "user", "content": "1+1"},
        {"role": "assistant", "content": "2"},
        {"role": "user", "content": "{braces}"},
        {"role": "assistant", "content": '{"n": 3}'},
    ]
    system, asked = {"role": "system", "content": "S"}, {"role": "user", "content": "Hello"}
    spec = [system, {"role": "user", "content": "{text}"}]
    history = [{"id": "a", "chat": [system, asked]}]
    wanted = [[system, *shown, asked]]
    assert messages_of(tmp_path, prompt="{text}", system_prompt="S", examples=file) == wanted
    assert messages_of(tmp_path, messages=spec, examples=file) == wanted
    assert messages_of(tmp_path, history, messages_column="chat", examples=file) == wanted


@pytest.mark.parametrize("row", [{"user": "x"}, {"user": "x", "assistant": None}, {"question": "x", "answer": "y"}])
def test_an_example_without_both_sides_is_refused_by_line(tmp_path: Path, row: dict[str, Any]) -> None:
    file = write_rows(tmp_path / "examples.jsonl", [row])
    (problem,) = problems_of(tmp_path, prompt="{text}", examples=str(file))
    assert problem.startswith(f"{file} line 1: no value for")


def test_another_example_is_new_work(tmp_path: Path) -> None:
    file = tmp_path / "examples.jsonl"
    write_rows(file, EXAMPLES[:1])
    batch = batch_in(tmp_path, examples=str(file))
    before = [request.fingerprint for request in row_requests(batch)]
    write_rows(file, EXAMPLES)
    assert not set(before) & {request.fingerprint for request in row_requests(batch)}


CHAT = [
    {"role": "system", "content": "S"},
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f"}}]},
    {"role": "tool", "tool_call_id": "c", "content": "7"},
    {"role": "user", "content": [{"type": "text", "text": "So?"}]},
]


def test_a_history_is_sent_as_it_is_from_every_format(tmp_path: Path) -> None:
    assert messages_of(tmp_path, [{"id": "a", "chat": CHAT}], messages_column="chat") == [CHAT]
    with (tmp_path / "rows.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["id", "chat"], ["a", json.dumps(CHAT)]])
    assert messages_of(tmp_path, dataset=str(tmp_path / "rows.csv"), messages_column="chat") == [CHAT]
    simple = [{"role": "user", "content": "Hi", "name": None}, {"role": "assistant", "content": "Yes", "name": "b"}]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([{"id": "a", "chat": simple}]), tmp_path / "rows.parquet")
    (found,) = messages_of(tmp_path, dataset=str(tmp_path / "rows.parquet"), messages_column="chat")
    assert found == [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes", "name": "b"}]


@pytest.mark.parametrize(
    ("chat", "problem"),
    [
        (None, "no value for column 'chat'"),
        ([], "not a list of messages"),
        ("Hello", "'chat' is no JSON"),
        ('{"role": "user"}', "not a list of messages"),
        (["Hello"], "chat[0] is 'Hello', not an object"),
        ([{"role": "robot", "content": "x"}], "chat[0] has the role 'robot'"),
        ([{"content": "x"}], "chat[0] has the role None"),
        ([{"role": "user"}], "chat[0] has no content"),
        ([{"role": "user", "content": []}], "chat[0] has no content"),
        ([{"role": "user", "content": 7}], "chat[0] has the content 7"),
        ([{"role": "user", "content": "x", "text": "y"}], "chat[0] has the unknown field 'text'"),
        ([{"role": "assistant"}], "chat[0] has no content"),
        ([{"role": "tool", "content": "x"}], "without its tool_call_id"),
        ([{"role": "system", "content": "x"}], "no message of a user"),
        ([{"role": "user", "content": [{"type": "video"}]}], "chat[0].content[0] has the type 'video'"),
        ([{"role": "user", "content": [{"type": "text"}]}], "needs 'text': a text"),
        ([{"role": "user", "content": ["x"]}], "not an object with a type"),
        ([{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}], "needs 'image_url': an object"),
        ('[{"role": "user", "content": "\\ud800"}]', "can't encode"),
        ("[" * 300 + "]" * 300, "nested deeper than"),
    ],
)
def test_an_invalid_history_is_refused_with_its_row(tmp_path: Path, chat: object, problem: str) -> None:
    good = {"id": "b", "chat": [{"role": "user", "content": "x"}]}
    (found,) = problems_of(tmp_path, [good, {"id": "a", "chat": chat}], messages_column="chat")
    assert found.startswith(f"{tmp_path / 'rows.jsonl'} line 2: ")
    assert problem in found


def test_a_system_prompt_precedes_a_history_that_has_none(tmp_path: Path) -> None:
    rows = [{"id": "a", "chat": CHAT[1:2]}]
    assert messages_of(tmp_path, rows, messages_column="chat", system_prompt="About {id}") == [
        [{"role": "system", "content": "About a"}, CHAT[1]]
    ]
    (problem,) = problems_of(tmp_path, [{"id": "a", "chat": CHAT}], messages_column="chat", system_prompt="S")
    assert "'chat' has a system message, as system_prompt" in problem


def test_the_column_of_the_history_must_exist(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, messages_column="chat")
    assert problem.endswith("has no column 'chat'; it has: id, text, meta, a.b (the messages column)")


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ text }}", "Hello"),
        ("{% if meta.none %}no{% else %}{{ meta.tags[1].n + 1 }}{% endif %}", "3"),
        ("{% for tag in meta.tags %}{{ loop.index }}:{{ tag }} {% endfor %}", '1:x 2:{"n": 2} '),
        ('{{ row["a.b"] }}', "dotted"),
        ("{{ text | upper }}\n", "HELLO\n"),
        ("{{ meta.none or 'nothing' }} {{ true and text }}", "nothing Hello"),
        ("{# a comment #}{text} {{ text }}", "{text} Hello"),
    ],
)
def test_a_jinja_template_has_conditions_and_loops(tmp_path: Path, template: str, text: str) -> None:
    assert messages_of(tmp_path, prompt=template, template="jinja") == [[{"role": "user", "content": text}]]


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("{{ texte }}", "'texte' is undefined"),
        ("{{ meta.tag }}", "has no attribute 'tag'"),
        ("{{ row['due date'] }}", "has no attribute 'due date'"),
        ("{{ meta.none }}", "prints a missing value"),
        ("{{ text.__class__.__mro__ }}", "template: "),
        ("{{ ''.__class__ }} {{ text }}", "template: "),
        ("{{ text | map('upper') }}", "is no text; print a value"),
        ("{{ text.upper }}", "is no text; print a value"),
        ("{{ 1 / 0 }} {{ text }}", "ZeroDivisionError"),
        ("{{ text + 1 }}", "TypeError"),
        ("{{ range(10000000) | list }} {{ text }}", "OverflowError"),
        ("{% include text %}", "template: "),
    ],
)
def test_a_template_that_fails_for_a_row_is_refused_with_its_place(tmp_path: Path, template: str, problem: str) -> None:
    found = problems_of(tmp_path, prompt=template, template="jinja")
    assert found[0].startswith(f"{tmp_path / 'rows.jsonl'} line 1: ")
    assert problem in found[0]


def test_a_name_that_only_some_rows_lack_is_refused_for_those(tmp_path: Path) -> None:
    rows = [{"id": "a"}, {"id": "b", "note": "n"}]
    (problem,) = problems_of(tmp_path, rows, prompt="{{ id }} {{ note }}", template="jinja")
    assert "rows.jsonl line 1: template: 'note' is undefined" in problem
    tested = "{{ id }}{% if note is defined %}: {{ note }}{% endif %}"
    assert [each[0]["content"] for each in messages_of(tmp_path, rows, prompt=tested, template="jinja")] == [
        "a",
        "b: n",
    ]


def test_an_unknown_name_in_a_branch_that_no_row_takes_is_refused(tmp_path: Path) -> None:
    template = "{{ text }}{% if false %}{{ texte }}{% endif %}"
    (problem,) = problems_of(tmp_path, prompt=template, template="jinja")
    assert problem == "prompt: unknown name 'texte': no row has a column of this name; correct the template"


@pytest.mark.parametrize("template", ["{% if %}", "{{ text", "{{ text | nofilter }}", "{% endfor %}", "{{ lipsum() }}"])
def test_what_is_no_jinja_is_refused(tmp_path: Path, template: str) -> None:
    assert problems_of(tmp_path, prompt=template + "{{ text }}", template="jinja")


def test_a_jinja_template_without_a_name_is_refused(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, prompt="{text}", template="jinja")
    assert problem.endswith("use one of: {{ id }}, {{ text }}, {{ meta }}, {{ a.b }}")


def test_random_texts_are_not_available_because_every_run_would_be_new_work(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, prompt="{{ [text, id] | random }}", template="jinja")
    assert "No filter named 'random'" in problem


async def test_messages_and_histories_are_answered_and_paid_once(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    asked = {"role": "user", "content": "Which team? My invoice is wrong."}
    rows: list[dict[str, object]] = [
        {"id": str(n), "chat": [{"role": "user", "content": f"Hi {n}"}, CHAT[2], CHAT[3], asked]} for n in range(3)
    ]
    batch = batch_in(tmp_path, rows, prompt=None, messages_column="chat", budget_usd=1)
    report = await run(batch, sandbox, ledger)
    assert (report.status, report.settled) == ("completed", 3)
    assert {row["answer"] for row in read_answers(batch)} == {"billing"}
    await run(batch, sandbox, ledger)
    sandbox.completed(3)
    sandbox.debited_once()
