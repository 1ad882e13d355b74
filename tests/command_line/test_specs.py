"""Spec files: what is wrong is said with file, field and value."""

from pathlib import Path

import pytest

from pareta_batch.spec import Batch
from pareta_cli.specs import SpecError, read_spec

SPEC = "name: reviews\nmodel: auto\ndataset: reviews.csv\nprompt: 'Say {text}'\n"


def spec(folder: Path, text: str = SPEC, name: str = "batch.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


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
