"""Spec files: what is wrong is said with file, field and value."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from flows.parameters import Pipeline, Promotion
from pareta_batch.spec import Batch, BatchWork
from pareta_cli.overrides import override as override_in_place
from pareta_cli.spec_reader import Value
from pareta_cli.specs import SpecError, fields_of, read_spec
from pareta_evals.spec import ComparisonSpec

SPEC = "name: reviews\nmodel: auto\ndataset: reviews.csv\nprompt: 'Say {text}'\n"


def spec(folder: Path, text: str = SPEC, name: str = "batch.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def override(kind: type[BaseModel], fields: dict[str, Value], setting: str) -> dict[str, Value]:
    override_in_place(kind, fields, setting)
    return fields


def test_yaml_and_json_are_read_alike(tmp_path: Path) -> None:
    as_json = '{"name": "reviews", "model": "auto", "dataset": "reviews.csv", "prompt": "Say {text}"}'
    assert read_spec(Batch, spec(tmp_path)) == read_spec(Batch, spec(tmp_path, as_json, "batch.json"))


def test_set_overrides_a_field_and_a_nested_one(tmp_path: Path) -> None:
    batch = read_spec(Batch, spec(tmp_path), ["max_in_flight=3", "sampling.temperature=0.5", "name=other"])
    assert (batch.max_in_flight, batch.sampling.temperature, batch.name) == (3, 0.5, "other")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (SPEC + "max_in_flight: 0", r"batch\.yaml: max_in_flight: .*greater than or equal to 1 \(it is 0\)"),
        (SPEC + "shards: 3", r"batch\.yaml: shards: Extra inputs are not permitted"),
        ("name: reviews", r"batch\.yaml: dataset: Field required"),
        (SPEC + "sampling: {model: ep_other}", r"sampling may not set model"),
        (SPEC + "output: answers.xlsx", r"output 'answers\.xlsx' must end in \.csv, \.jsonl, \.parquet"),
        ("- a list", "not a mapping; write fields"),
        ("a: [", "batch.yaml"),
    ],
)
def test_a_spec_that_does_not_fit_is_refused_with_file_field_and_value(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        read_spec(Batch, spec(tmp_path, text))


@pytest.mark.parametrize("override", ["max_in_flight", "=3", "name.first=x"])
def test_an_override_that_cannot_be_read_is_refused(tmp_path: Path, override: str) -> None:
    with pytest.raises(SpecError, match=f"--set '{override}'"):
        read_spec(Batch, spec(tmp_path), [override])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"nowhere\.yaml"):
        read_spec(Batch, tmp_path / "nowhere.yaml")


TEXTS = [
    "{ticket}",
    "007",
    "true",
    "no",
    "[a",
    "a: b",
    "- a",
    "# a",
    "'a",
    "@a",
    "1e3",
    ".nan",
    " a ",
    "*a",
    "&a",
    "!!int 3",
    "",
]


@pytest.mark.parametrize("text", [*TEXTS, '"quoted"', "a=b", "line\nline", "Say {text}: yes or no?"])
def test_set_takes_the_text_of_a_text_field_unchanged(tmp_path: Path, text: str) -> None:
    assert override(BatchWork, {}, f"prompt={text}") == {"prompt": text}
    assert override(Pipeline, {}, f"batch.prompt={text}") == {"batch": {"prompt": text}}
    assert override(Batch, {}, f"sampling.user={text}") == {"sampling": {"user": text}}


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_set_takes_any_text_of_a_text_field_unchanged(text: str) -> None:
    assert override(Batch, {}, f"dataset={text}") == {"dataset": text}


@pytest.mark.parametrize("name", ["007", "1e3", "true", "2026-11-01", "null"])
def test_set_takes_a_name_as_text(tmp_path: Path, name: str) -> None:
    assert read_spec(Batch, spec(tmp_path), [f"name={name}"]).name == name


@pytest.mark.parametrize(
    ("kind", "setting", "value"),
    [
        (Batch, "max_in_flight=8", 8),
        (Batch, "max_in_flight=0x10", 16),
        (Batch, "budget_usd=2.5", 2.5),
        (Batch, "budget_usd=null", None),
        (Batch, "id_column=null", None),
        (Batch, "id_column=~", None),
        (Batch, "id_column=007", "007"),
        (Batch, "sampling={temperature: 0}", {"temperature": 0}),
        (Batch, "sampling.temperature=0", 0),
        (Batch, "sampling.top_k=40", 40),
        (Batch, "sampling.stop=007", "007"),
        (Batch, "sampling.stop=[007, b]", ["007", "b"]),
        (Batch, "sampling.response_format={type: json_object}", {"type": "json_object"}),
        (Pipeline, "stop_endpoint=false", False),
        (ComparisonSpec, "models=[007, heron-1]", ["007", "heron-1"]),
        (ComparisonSpec, "frontier=all", "all"),
        (ComparisonSpec, "frontier=[007]", ["007"]),
        (ComparisonSpec, "score_range=[1, 5]", [1, 5]),
        (ComparisonSpec, "baseline_max_age=P7D", "P7D"),
        (Promotion, "comparison.task=007", "007"),
        (Batch, "unknown=007", 7),
    ],
)
def test_set_reads_a_value_by_the_type_of_its_field(kind: type[BaseModel], setting: str, value: object) -> None:
    fields = override(kind, {}, setting)
    for part in setting.partition("=")[0].split("."):
        fields = fields[part]  # type: ignore[assignment]
    assert fields == value
    assert type(fields) is type(value)


def test_a_schema_reference_for_editors_is_no_field(tmp_path: Path) -> None:
    path = spec(tmp_path, '{"$schema": "./complete.json", "name": "reviews"}', "batch.json")
    assert fields_of(path) == {"name": "reviews"}
