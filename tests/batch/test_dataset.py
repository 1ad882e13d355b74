"""Datasets: what is read, and the message a person gets for what cannot be."""

import json
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from pareta_batch.dataset import Dataset, schema
from pareta_batch.errors import DatasetError

ROWS = [{"id": "a", "text": "first"}, {"id": "b", "text": "zweite Zeile — 第二 🎈"}]


def write_csv(folder: Path, text: str) -> Path:
    path = folder / "rows.csv"
    path.write_text(text, encoding="utf-8", newline="")
    return path


def write_jsonl(folder: Path, *lines: str) -> Path:
    path = folder / "rows.jsonl"
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return path


def write_parquet(folder: Path, rows: list[dict[str, object]]) -> Path:
    path = folder / "rows.parquet"
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return path


def values(path: Path) -> list[dict[str, object]]:
    return [dict(row.values) for row in Dataset.open(path).rows()]


def problem(path: Path) -> str:
    with pytest.raises(DatasetError) as caught:
        list(Dataset.open(path).rows())
    return str(caught.value)


def test_the_three_formats_give_the_same_rows(tmp_path: Path) -> None:
    as_csv = write_csv(tmp_path, "id,text\n" + "".join(f"{row['id']},{row['text']}\n" for row in ROWS))
    as_jsonl = write_jsonl(tmp_path, *map(json.dumps, ROWS))
    as_parquet = write_parquet(tmp_path, [dict(row) for row in ROWS])
    assert values(as_csv) == values(as_jsonl) == values(as_parquet) == ROWS


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    as_csv = write_csv(tmp_path, "\ufeffid,text\na,x\n")
    as_jsonl = write_jsonl(tmp_path, '\ufeff{"id": "a", "text": "x"}')
    assert values(as_csv) == values(as_jsonl) == [{"id": "a", "text": "x"}]


def test_a_ragged_line_is_named_with_its_file_and_line(tmp_path: Path) -> None:
    path = write_csv(tmp_path, "id,text\na,x\nb\n")
    assert problem(path) == f"{path} line 3: 1 fields, the header has 2"


def test_a_record_that_spans_lines_is_named_by_the_line_it_begins_on(tmp_path: Path) -> None:
    path = write_csv(tmp_path, 'id,text\na,"one\ntwo\nthree"\n\nb,x\n')
    assert [row.place for row in Dataset.open(path).rows()] == [f"{path} line 2", f"{path} line 6"]


def test_a_quote_that_never_closes_is_an_error_not_one_long_value(tmp_path: Path) -> None:
    assert "rows.csv line 3" in problem(write_csv(tmp_path, 'id,text\na,"x\nb,y\n'))


def test_an_empty_csv_field_is_no_value(tmp_path: Path) -> None:
    assert values(write_csv(tmp_path, "id,text\na,\n")) == [{"id": "a", "text": None}]


def test_a_column_that_stands_there_twice_is_refused(tmp_path: Path) -> None:
    assert "column 'text' stands there twice" in problem(write_csv(tmp_path, "text,text\na,b\n"))


def test_a_line_that_is_not_json_is_named(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path, '{"id": 1}', "", '{"id": ')
    assert problem(path).startswith(f"{path} line 3: not JSON")


def test_a_line_that_is_json_but_no_object_is_named(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path, '{"id": 1}', "[1, 2]")
    assert problem(path).startswith(f"{path} line 2: not a JSON object")


def test_half_of_a_surrogate_pair_is_refused_before_it_could_break_a_request(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path, r'{"text": "\ud83c\udf88"}', r'{"text": "\ud83c"}')
    assert problem(path).startswith(f"{path} line 2: has half of a surrogate pair")


def test_bytes_that_are_not_utf_8_are_named_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b"id,text\n" + b"a,x\n" * 5000 + b"b,caf\xe9\n")
    assert problem(path) == f"{path} line 5002: not UTF-8"
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"a": 1}\n{"a": "caf\xe9"}\n')
    assert f"{path} line 2" in problem(path)


def test_a_parquet_file_that_is_none_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    path.write_bytes(b"not parquet at all")
    assert str(path) in problem(path)


@pytest.mark.parametrize(("name", "message"), [("rows.xlsx", "not a dataset we read"), ("gone.csv", "no such file")])
def test_a_file_that_cannot_be_a_dataset_is_refused(tmp_path: Path, name: str, message: str) -> None:
    if name == "rows.xlsx":
        (tmp_path / name).touch()
    assert message in problem(tmp_path / name)


@pytest.mark.parametrize("text", ["", "id,text\n"])
def test_a_dataset_without_rows_is_refused(tmp_path: Path, text: str) -> None:
    assert problem(write_csv(tmp_path, text)) == f"{tmp_path / 'rows.csv'} has no rows"


def test_a_document_of_megabytes_is_a_row_like_any_other(tmp_path: Path) -> None:
    document = "ä{}\n" * 1_000_000
    quoted = '"' + document + '"'
    (row,) = values(write_csv(tmp_path, f"id,text\na,{quoted}\n"))
    assert row["text"] == document


def test_types_of_json_columns_fit_every_value(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path, '{"a": 1, "b": 1, "c": true}', '{"a": 2.5, "b": "x", "c": null, "d": {"e": 1}}')
    types = {field.name: str(field.type) for field in schema(Dataset.open(path))}
    assert types == {"a": "double", "b": "string", "c": "bool", "d": "string"}
