"""Answers with a schema: sent, checked, repaired, and split into typed columns."""

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from pareta_batch.answers.answer_types import field_types, field_values, fitted
from pareta_batch.answers.message_columns import message_columns
from pareta_batch.engine.reply_outcome import checked_fields
from pareta_batch.ledger.ledger import Ledger
from pareta_batch.response_format import AnswerCheck
from pareta_batch.rows.requests import row_requests
from pareta_sandbox.testing import Sandbox
from tests.batch.batches import batch_in, read_answers, run

NOTICE: dict[str, Any] = {
    "title": "Notice of a licence",
    "type": "object",
    "properties": {"copyright_holder": {"type": ["string", "null"]}, "year": {"type": "string"}},
    "required": ["copyright_holder", "year"],
}


class Line(BaseModel):
    text: str
    price: float | None = None


class Invoice(BaseModel):
    number: int
    total: float
    paid: bool
    lines: list[Line]


ALL_TYPES: dict[str, Any] = {
    "$defs": {"point": {"type": "object", "properties": {"x": {"type": "number"}, "y": {"type": "integer"}}}},
    "type": "object",
    "properties": {
        "whole": {"type": "integer"},
        "real": {"type": "number"},
        "yes": {"type": "boolean"},
        "text": {"type": "string"},
        "team": {"enum": ["billing", "sales", None]},
        "level": {"enum": [1, 2, 3]},
        "maybe": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "tags": {"type": "array", "items": {"type": "string"}},
        "point": {"$ref": "#/$defs/point"},
        "points": {"type": "array", "items": {"$ref": "#/$defs/point"}},
        "mixed": {"type": ["string", "integer"]},
        "anything": {},
        "deep": {"$ref": "#"},
    },
}
VALUES: dict[str, Any] = {
    "whole": 7,
    "real": 2,
    "yes": True,
    "text": "x",
    "team": "sales",
    "level": 2,
    "maybe": None,
    "tags": ["a", "b"],
    "point": {"x": 1.5, "y": 2},
    "points": [{"x": 1, "y": 2}],
    "mixed": 3,
    "anything": {"a": [1]},
    "deep": None,
}


def test_every_kind_of_field_has_a_type() -> None:
    point = pyarrow.struct([("x", pyarrow.float64()), ("y", pyarrow.int64())])
    types = field_types(ALL_TYPES)
    assert {name: types[name] for name in ALL_TYPES["properties"] if name != "deep"} == {
        "whole": pyarrow.int64(),
        "real": pyarrow.float64(),
        "yes": pyarrow.bool_(),
        "text": pyarrow.string(),
        "team": pyarrow.dictionary(pyarrow.int32(), pyarrow.string()),
        "level": pyarrow.int64(),
        "maybe": pyarrow.int64(),
        "tags": pyarrow.list_(pyarrow.string()),
        "point": point,
        "points": pyarrow.list_(point),
        "mixed": pyarrow.string(),
        "anything": pyarrow.string(),
    }


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("xya"), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([*ALL_TYPES["properties"]]), json_values))
def test_any_answer_can_be_written_in_its_types(answer: dict[str, Any]) -> None:
    types = field_types(ALL_TYPES)
    row = {name: fitted(answer.get(name), kind) for name, kind in types.items()}
    pyarrow.Table.from_pylist([row], schema=pyarrow.schema([*types.items()]))


@pytest.mark.parametrize("answer", ["", "x", "[]", "7", None, "[" * 5_000])
def test_what_is_no_object_has_no_fields(answer: str | None) -> None:
    assert not any(field_values(answer, field_types(ALL_TYPES)).values())


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl", ".csv"])
async def test_fields_become_columns(tmp_path: Path, sandbox: Sandbox, ledger: Ledger, suffix: str) -> None:
    rows: list[dict[str, object]] = [{"id": str(n), "text": f"Copyright (c) 202{n} Ada"} for n in range(3)]
    given = {"model": "ep_seed_contracts", "prompt": "Extract copyright holder and year.\n\n{text}"}
    output = tmp_path / f"answers{suffix}"
    batch = batch_in(tmp_path, rows, **given, sampling={"max_tokens": 90}, answer_schema=NOTICE, output=str(output))
    report = await run(batch, sandbox, ledger)
    assert (report.status, report.flagged) == ("completed", {})
    match suffix:
        case ".parquet":
            table = pyarrow.parquet.read_table(output)
            found = table.column("answer.year").to_pylist()
            assert table.schema.field("answer.year").type == pyarrow.string()
        case ".csv":
            with output.open(newline="") as file:
                found = [row["answer.year"] for row in csv.DictReader(file)]
        case _:
            found = [row["answer.year"] for row in read_answers(batch)]
    assert found == ["2020", "2021", "2022"]


async def test_a_parquet_file_has_every_type(tmp_path: Path) -> None:
    types = field_types(ALL_TYPES)
    row = field_values(json.dumps(VALUES), types)
    table = pyarrow.Table.from_pylist([row], schema=pyarrow.schema([*types.items()]))
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    (found,) = pyarrow.parquet.read_table(tmp_path / "a.parquet").to_pylist()
    assert found == {**VALUES, "mixed": "3", "anything": '{"a": [1]}'}


def test_the_schema_is_sent_as_the_response_format_and_is_part_of_the_identity(tmp_path: Path) -> None:
    batch = batch_in(tmp_path, 1, answer_schema=NOTICE)
    sent = {"name": "Notice_of_a_licence", "schema": NOTICE}
    assert batch.request_fields()["response_format"] == {"type": "json_schema", "json_schema": sent}
    (with_schema,), (without,) = row_requests(batch), row_requests(batch_in(tmp_path, 1))
    assert with_schema.fingerprint != without.fingerprint
    assert with_schema.fingerprint == "b46aa14303f3e1eced9a3650aa1f16f0415b20ae8dbb77793d82d147ef32f6fd"


def test_a_schema_is_read_from_a_file_json_text_or_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "notice.json").write_text(json.dumps(NOTICE))
    (tmp_path / "notice.yaml").write_text("type: object\nproperties:\n  year: {type: string}\n")
    (tmp_path / "models_of_a_user.py").write_text(
        "from pydantic import BaseModel\nclass Ticket(BaseModel):\n    team: str\n    level: int\n"
    )
    monkeypatch.chdir(tmp_path)
    assert batch_in(tmp_path, answer_schema="notice.json").answer_schema == NOTICE
    assert batch_in(tmp_path, answer_schema=json.dumps(NOTICE)).answer_schema == NOTICE
    assert field_types(batch_in(tmp_path, answer_schema="notice.yaml").schema_of_answers) == {"year": pyarrow.string()}
    ticket = batch_in(tmp_path, answer_schema="models_of_a_user:Ticket")
    assert field_types(ticket.schema_of_answers) == {"team": pyarrow.string(), "level": pyarrow.int64()}
    assert batch_in(tmp_path, **json.loads(ticket.model_dump_json())) == ticket, "it crosses processes as a mapping"


def test_a_pydantic_model_has_structs_and_lists() -> None:
    types = field_types(Invoice.model_json_schema())
    line = pyarrow.struct([("text", pyarrow.string()), ("price", pyarrow.float64())])
    assert types["lines"] == pyarrow.list_(line)
    assert [types["number"], types["total"], types["paid"]] == [pyarrow.int64(), pyarrow.float64(), pyarrow.bool_()]


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ("nowhere.json", "answer_schema 'nowhere.json': No such file"),
        ("broken.json", "not JSON"),
        ("notice.txt", "use a .json or .yaml file, module:Model, or a mapping"),
        ("no_module:Model", "no pydantic model can be imported"),
        ("json:loads", "no pydantic model can be imported"),
        ("{", "not JSON"),
        (7, "is not a JSON schema"),
        ({"type": "nothing"}, "answer_schema has no valid JSON schema"),
        ({"$ref": "https://example.com/x"}, "answer_schema: \\$ref"),
    ],
)
def test_a_schema_that_cannot_be_used_is_refused(
    tmp_path: Path, schema: object, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken.json").write_text("{")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValidationError, match=problem):
        batch_in(tmp_path, answer_schema=schema)


def test_a_schema_and_a_response_format_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="leave one of them out"):
        batch_in(tmp_path, answer_schema=NOTICE, sampling={"response_format": {"type": "json_object"}})


YEAR = {"type": "json_schema", "json_schema": {"schema": {**NOTICE, "required": ["year"]}}}


@pytest.mark.parametrize(
    ("answer", "repaired", "note"),
    [
        ('```json\n{"year": "2020"}\n```', '{"year": "2020"}', "answer: code fence removed"),
        ('Here it is:\n```\n{"year": "2020"}\n```\nDone.', '{"year": "2020"}', "answer: code fence removed"),
        ('{"year": "2020",}', '{"year": "2020"}', "answer: JSON syntax repaired"),
        ("{'year': '2020'}", '{"year": "2020"}', "answer: JSON syntax repaired"),
        ('{"year": "2020"', '{"year": "2020"}', "answer: JSON syntax repaired"),
        ('```json\n{"year": "2020",}\n```', '{"year": "2020"}', "answer: JSON syntax repaired"),
    ],
)
async def test_json_is_repaired_and_the_row_says_so(answer: str, repaired: str, note: str) -> None:
    check = AnswerCheck(YEAR, repairs=True)
    try:
        checked = await check.read(answer)
    finally:
        check.close()
    assert (checked.fit, checked.repaired, checked.note) == ("fits", repaired, note)
    fields = checked_fields({"answer": answer, "flag": None, "message": None, "notes": None}, checked)
    assert (fields["answer"], fields["flag"], fields["notes"]) == (repaired, None, note)
    assert json.loads(fields["message"]) == {"role": "assistant", "content": answer}, "what was paid is kept"


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ("The year is 2020.", "it is not JSON"),
        ('{"year": 2020}', "at $.year: 2020 is not of type 'string'"),
        ('```json\n{"year": 2020}\n```', "it is not JSON"),
        ("", "it is not JSON"),
        ("[" * 50_000, "nested too deeply"),
    ],
)
async def test_what_does_not_fit_is_no_repair_and_has_a_problem(answer: str, problem: str) -> None:
    check = AnswerCheck(YEAR, repairs=True)
    try:
        checked = await check.read(answer)
    finally:
        check.close()
    assert (checked.fit, checked.repaired) == ("misfit", None)
    assert problem in (checked.problem or "")


async def test_nothing_is_repaired_for_a_response_format_of_the_sampling() -> None:
    check = AnswerCheck(YEAR)
    try:
        assert (await check.read('{"year": "2020",}')).fit == "misfit"
    finally:
        check.close()


MESSAGE = {
    "role": "assistant",
    "content": "x",
    "tool_calls": [{"id": "c"}],
    "reasoning_content": "because",
    "logprobs": {"content": []},
}


@pytest.mark.parametrize(
    ("message", "found"),
    [
        (MESSAGE, [[{"id": "c"}], "because", {"content": []}]),
        ([{"message": {"reasoning": "so"}, "logprobs": {"content": [1]}}, {}], [None, "so", {"content": [1]}]),
        (None, [None, None, None]),
        ("not parsed", [None, None, None]),
        ([], [None, None, None]),
        ([7], [None, None, None]),
    ],
)
def test_parts_of_a_reply_are_found(message: object, found: list[object]) -> None:
    columns = message_columns(message)
    assert [columns.get(name) for name in ("tool_calls", "reasoning", "logprobs")] == found


async def test_parts_of_a_reply_have_columns_when_asked_for(tmp_path: Path, sandbox: Sandbox, ledger: Ledger) -> None:
    rows: list[dict[str, object]] = [{"id": "a", "text": "x", "reasoning": "own"}]
    batch = batch_in(tmp_path, rows, answer_columns=["tool_calls", "reasoning"])
    await run(batch, sandbox, ledger)
    (row,) = read_answers(batch)
    assert (row["reasoning"], row["pareta_reasoning"], row["tool_calls"]) == ("own", None, None)
    assert "logprobs" not in row
