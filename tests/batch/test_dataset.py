"""Datasets: what is read, and the message a person gets for what cannot be."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from pareta_batch.errors import DatasetError
from pareta_batch.rows.dataset import Dataset, schema

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
    pa.parquet.write_table(pa.Table.from_pylist(rows), path)
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
    assert "duplicate column 'text'; rename one" in problem(write_csv(tmp_path, "text,text\na,b\n"))


def test_a_line_that_is_not_json_is_named(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path, '{"id": 1}', "", '{"id": ')
    assert problem(path).startswith(f"{path} line 3: not JSON")


def test_a_line_that_is_json_but_no_object_is_named(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path, '{"id": 1}', "[1, 2]")
    assert problem(path).startswith(f"{path} line 2: not a JSON object")


def test_half_of_a_surrogate_pair_is_refused_before_it_could_break_a_request(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path, r'{"text": "\ud83c\udf88"}', r'{"text": "\ud83c"}')
    assert problem(path).startswith(f"{path} line 2, column 'text': invalid Unicode: unpaired surrogate")
    assert problem(path).endswith("fix the dataset")


def test_a_duplicate_key_of_a_json_object_is_named(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path, '{"id": 1}', '{"id": 2, "a": {"b": 1, "b": 1}}')
    assert problem(path) == f"{path} line 2: duplicate key 'b'; remove one of its values"
    assert "line 1: duplicate key 'id'" in problem(write_jsonl(tmp_path, '{"id": 1, "id": 2}'))


def test_bytes_that_are_not_utf_8_are_named_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b"id,text\n" + b"a,x\n" * 5000 + b"b,caf\xe9\n")
    assert problem(path) == f"{path} line 5002: not UTF-8; set encoding, for example encoding: cp1252"
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"a": 1}\n{"a": "caf\xe9"}\n')
    assert f"{path} line 2" in problem(path)


def test_a_parquet_file_that_is_none_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    path.write_bytes(b"not parquet at all")
    assert str(path) in problem(path)


@pytest.mark.parametrize(("name", "message"), [("rows.xls", "unsupported format; use"), ("gone.csv", "no such file")])
def test_a_file_that_cannot_be_a_dataset_is_refused(tmp_path: Path, name: str, message: str) -> None:
    if name == "rows.xls":
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


@pytest.mark.parametrize("wide", ["18446744073709551616", "-9223372036854775809", "1" + "0" * 400])
def test_numbers_without_a_loss(tmp_path: Path, wide: str) -> None:
    lines = [
        f'{{"wide": {wide}, "unsigned": 18446744073709551615, "both": {wide}, "float": 9007199254740992, "exact": 1}}',
        '{"wide": 5, "unsigned": 0, "both": 0.5, "float": 0.5, "exact": 0.25}',
        '{"wide": 5, "unsigned": 0, "both": 9007199254740993, "float": null, "exact": null, "whole": 1.0}',
    ]
    types = {each.name: str(each.type) for each in schema(Dataset.open(write_jsonl(tmp_path, *lines)))}
    assert types == {
        "wide": "string",
        "unsigned": "uint64",
        "both": "string",
        "float": "double",
        "exact": "double",
        "whole": "double",
    }


def parquet_of(folder: Path, **columns: pa.Array) -> Path:
    path = folder / "rows.parquet"
    pa.parquet.write_table(pa.table({"id": [*map(str, range(len(next(iter(columns.values())))))], **columns}), path)
    return path


BYTES = [b"hello", "é".encode(), None]


@pytest.mark.parametrize(
    ("column", "texts"),
    [
        (pa.array(BYTES, pa.binary()), ["hello", "é", None]),
        (pa.array(BYTES, pa.large_binary()), ["hello", "é", None]),
        (pa.array(BYTES, pa.dictionary(pa.int32(), pa.binary())), ["hello", "é", None]),
        (pa.array([b"ab", None], pa.binary(2)), ["ab", None]),
        (pa.array([[b"a"], None], pa.list_(pa.binary())), [["a"], None]),
        (pa.array([{"b": [b"a"]}]), [{"b": ["a"]}]),
        (pa.array([[("k", b"v")]], pa.map_(pa.string(), pa.binary())), [[("k", "v")]]),
    ],
)
def test_texts_stored_as_bytes_are_texts(tmp_path: Path, column: pa.Array, texts: list[object]) -> None:
    assert [row["x"] for row in values(parquet_of(tmp_path, x=column))] == texts


BAD_TEXT = pa.array([b"caf\xe9"], pa.binary())
FAR = 2**62


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (BAD_TEXT, "bytes that are not UTF-8 (b'caf\\xe9')"),
        (BAD_TEXT.view(pa.string()), "bytes that are not UTF-8"),
        (pa.array([[b"\xff"]], pa.list_(pa.binary())), "bytes that are not UTF-8"),
        (pa.array([{"b": b"\xff"}]), "bytes that are not UTF-8"),
        (pa.array([FAR], pa.timestamp("us")), "out of the range of dates and times"),
        (pa.array([-FAR], pa.timestamp("ms")), "out of the range of dates and times"),
        (pa.array([FAR], pa.timestamp("us", "UTC")), "out of the range of dates and times"),
        (pa.array([253402300799000], pa.timestamp("ms", "Asia/Tokyo")), "out of the range of dates and times"),
        (pa.array([[FAR]], pa.list_(pa.timestamp("us"))), "out of the range of dates and times"),
        (pa.array([2**31 - 1], pa.date32()), "out of the range of dates and times"),
        (pa.array([-(2**31)], pa.date32()), "out of the range of dates and times"),
        (pa.array([FAR], pa.duration("ms")), "out of the range of dates and times"),
        (pa.array([0], pa.timestamp("us", "Atlantis/Capital")), "not readable"),
        (pa.array([-5], pa.time64("us")), "no time of day"),
        (pa.array([86_400_000], pa.time32("ms")), "no time of day"),
        (pa.array([1], pa.time64("ns")), "no time of day to the microsecond"),
        (pa.array([[1000, 1]], pa.list_(pa.time64("ns"))), "no time of day to the microsecond"),
        (pa.array([{"at": [1]}], pa.struct({"at": pa.large_list(pa.time64("ns"))})), "no time of day"),
        (pa.array([[("at", 1)]], pa.map_(pa.string(), pa.time64("ns"))), "no time of day"),
    ],
)
def test_a_value_that_cannot_be_read_is_named_with_file_row_and_column(
    tmp_path: Path, column: pa.Array, said: str
) -> None:
    good = pa.array([None] * 1500, column.type)
    path = parquet_of(tmp_path, x=pa.concat_arrays([good, column]))
    text = problem(path)
    assert text.startswith(f"{path} row 1501, column 'x': ")
    assert said in text
    assert text.endswith("or leave the column out")


@pytest.mark.parametrize(
    ("name", "said"), [("a\0b", r"column name 'a\x00b' contains NUL"), ("a" * 1001, "has 1001 characters")]
)
def test_a_name_that_is_none_is_refused_in_every_format(tmp_path: Path, name: str, said: str) -> None:
    for path in (
        write_csv(tmp_path, f"id,{name}\n1,2\n"),
        write_jsonl(tmp_path, '{"id": 1}', json.dumps({name: 2})),
        write_parquet(tmp_path, [{"id": 1, name: 2}]),
    ):
        assert said in problem(path)


def test_json_nested_too_deep_is_named_and_brackets_in_texts_are_no_nesting(tmp_path: Path) -> None:
    for depth in (250, 5_000, 200_000):
        path = write_jsonl(tmp_path, '{"a": 1}', '{"a": ' + "[" * depth + "]" * depth + "}")
        assert problem(path) == f"{path} line 2: nested deeper than 200 brackets; store the value as text"
    assert values(write_jsonl(tmp_path, json.dumps({"a": "[" * 1_000, "b": [[1]] * 300})))


def test_a_name_of_a_file_that_no_disk_has_is_a_dataset_error(tmp_path: Path) -> None:
    assert "too long" in problem(tmp_path / f"{'a' * 300}.csv")
    assert "no such file" in problem(tmp_path / "a\0b.csv")
