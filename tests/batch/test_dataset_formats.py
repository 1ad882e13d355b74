"""Options of the formats, JSON arrays, workbooks, tables in memory, and the hints for a file that does not fit."""

import io
import json
import sys
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import openpyxl
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pareta_batch import Batch
from pareta_batch.errors import DatasetError
from pareta_batch.rows import standard_input
from pareta_batch.rows.dataset import Dataset, decimals_of, schema
from pareta_batch.rows.frames import Table
from pareta_batch.rows.json_rows import json_array_rows
from pareta_batch.rows.requests import row_requests
from pareta_batch.rows.source import Source


def values(dataset: str | Source | Table) -> list[dict[str, object]]:
    return [dict(row.values) for row in Dataset.open(dataset).rows()]


def problem(dataset: str | Source | Table) -> str:
    with pytest.raises(DatasetError) as caught:
        list(Dataset.open(dataset).rows())
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "hint"),
    [
        ("r.csv", "id;text\n1;x\n", "semicolons: set delimiter: ';'"),
        ("r.csv", "id\ttext\n1\tx\n", 'tabs: set delimiter: "\\t"'),
        ("r.csv", "id|text\n1|x\n", "vertical bars: set delimiter: '|'"),
        ("r.tsv", "id,text\n1,x\n", "commas: set delimiter: ','"),
        ("r.csv", "id;price, net;text\n1;2;x\n", "semicolons: set delimiter: ';'"),
    ],
)
def test_another_delimiter_is_guessed_and_shown(tmp_path: Path, name: str, text: str, hint: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    assert problem(str(path)).endswith(hint)
    chosen = hint.split("delimiter: ")[1].strip("\"'").replace("\\t", "\t")
    assert [row["id"] for row in values(Source(path=str(path), delimiter=chosen))] == ["1"]


def test_one_column_with_a_delimiter_in_its_name_can_be_asked_for(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("id;text\n1;x\n")
    assert values(Source(path=str(tmp_path / "r.csv"), delimiter=",")) == [{"id;text": "1;x"}]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("1,5", "1.5"),
        ("-1.234,5", "-1234.5"),
        ("1,5e3", "1.5e3"),
        ("1.234", "1.234"),
        ("a,b", "a,b"),
        ("1,2,3", "1,2,3"),
    ],
)
def test_a_decimal_comma_becomes_a_point_in_numbers_only(tmp_path: Path, written: str, read: str) -> None:
    path = tmp_path / "r.csv"
    path.write_text(f"id;n\n1;{written}\n")
    assert values(Source(path=str(path), delimiter=";", decimal=",")) == [{"id": "1", "n": read}]
    assert values(Source(path=str(path), delimiter=";")) == [{"id": "1", "n": written}]


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "utf-16", "utf-16-le", "utf-8-sig", "cp037"])
@pytest.mark.parametrize(("name", "text"), [("r.csv", "id,t\n1,café\n"), ("r.jsonl", '{"id": "1", "t": "café"}\n')])
def test_an_encoding_is_read(tmp_path: Path, encoding: str, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    assert values(Source(path=str(path), encoding=encoding)) == [{"id": "1", "t": "café"}]


@pytest.mark.parametrize(
    ("content", "encoding", "said"),
    [
        ("id,t\n1,café\n".encode("cp1252"), None, "line 2: not UTF-8; set encoding, for example encoding: cp1252"),
        ("id,t\n1,x\n".encode("utf-16"), None, "line 1: not UTF-8; set encoding, for example encoding: utf-16"),
        (b"id,t\n1,\x81\xff\n", None, "line 2: not UTF-8; set encoding, for example encoding: latin-1"),
        ("id,t\n1,x\n2,café\n".encode(), "ascii", "line 3: not ASCII; set encoding, for example encoding: utf-8"),
        (b"id,t\n1,x\n", "utf-16", "UTF-16"),
    ],
)
def test_an_encoding_that_does_not_fit_is_an_error_with_a_guess(
    tmp_path: Path, content: bytes, encoding: str | None, said: str
) -> None:
    path = tmp_path / "r.csv"
    path.write_bytes(content)
    assert said in problem(Source(path=str(path), encoding=encoding))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "has no rows"),
        (" ", "has no rows"),
        ('[{"a": 1},]', "line 1, item 2: not JSON"),
        ('[{"a": 1}', "item 1: followed by '', not by a comma"),
        ('[{"a": 1},\n{"a": 2} {"a": 3}]', "line 2, item 2: followed by '{'"),
        ('[{"a": 1}]\n]', "line 2: ']' after the end of the array"),
        ('{"a": 1}', "line 1: no JSON array; use a list of objects, or format: jsonl"),
        ("[1]", "item 1: not a JSON object: '1'"),
        ('[\n\n{"a": {"b": 1, "b": 2}}]', "line 3, item 1: duplicate key 'b'"),
        ('[{"a": "\\ud83c"}]', "item 1, column 'a': invalid Unicode"),
        ('[{"a": ' + "[" * 300 + "]" * 300 + "}]", "item 1: nested deeper than 200"),
        ('[{"a": tru}, ' + '{"a": 1},' * 20_000 + '{"a": 1}]', "item 1: not JSON"),
        ('[{"a": "x}]', "item 1: not JSON: Unterminated string"),
    ],
)
def test_a_json_array_that_is_invalid_is_named_with_line_and_item(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "r.json"
    path.write_text(text)
    assert said in problem(str(path))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.lists(st.dictionaries(st.text("abc", min_size=1, max_size=2), JSON, max_size=4), min_size=1, max_size=6)


class _Slow(io.StringIO):
    """A text that is read a few characters at a time."""

    step = 1

    def read(self, size: int | None = -1, /) -> str:
        return super().read(self.step)


@given(OBJECTS, st.integers(1, 40), st.sampled_from([None, 1]), st.booleans())
def test_a_json_array_has_the_same_rows_wherever_a_read_ends(
    rows: list[dict[str, Any]], step: int, indent: int | None, escaped: bool
) -> None:
    text = _Slow(json.dumps(rows, indent=indent, ensure_ascii=escaped))
    text.step = step
    found = [*json_array_rows(text, "r.json")]
    assert [dict(row) for _, row in found] == rows
    if indent is not None:
        assert int(found[0][0].split("line ")[1].split(",")[0]) == 2


def workbook(path: Path, **sheets: list[list[object]]) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


WHEN = datetime(2024, 1, 2, 3, 4, 5)


def test_a_workbook_has_typed_rows_and_blank_ones_are_left_out(tmp_path: Path) -> None:
    rows: list[list[object]] = [["id", "n", "when"], ["a", 1, WHEN], [None, None], ["b", 2.5]]
    path = workbook(tmp_path / "R.XLSX", One=rows)
    dataset = Dataset.open(str(path))
    assert [(row.place, dict(row.values)) for row in dataset.rows()] == [
        (f"{path} row 2", {"id": "a", "n": 1, "when": WHEN}),
        (f"{path} row 4", {"id": "b", "n": 2.5, "when": None}),
    ]
    assert [str(each.type) for each in schema(dataset)] == ["string", "double", "timestamp[us]"]


def test_the_sheet_is_named_where_there_are_several(tmp_path: Path) -> None:
    path = workbook(tmp_path / "r.xlsx", One=[["id"], [1]], Two=[["id"], [2]])
    assert problem(str(path)) == f"{path}: 2 visible sheets; set sheet to one of: 'One', 'Two'"
    assert problem(Source(path=str(path), sheet="Drei")) == f"{path}: no sheet 'Drei'; it has: 'One', 'Two'"
    assert values(Source(path=str(path), sheet="Two")) == [{"id": 2}]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([["id", None, "text"], [1, 2, 3]], "row 1: column B has no name"),
        ([["id"], [1, 2]], "row 2: a value in column B, which has no name in the header"),
        ([["id", "id"], [1, 2]], "row 1: duplicate column 'id'"),
        ([["id"], ["#DIV/0!"]], "row 2, column A: #DIV/0!"),
        ([["id"]], "has no rows"),
    ],
)
def test_a_sheet_that_is_no_table_is_named_with_its_row(tmp_path: Path, rows: list[list[object]], said: str) -> None:
    assert said in problem(str(workbook(tmp_path / "r.xlsx", One=rows)))


def test_a_file_that_is_no_workbook_is_refused(tmp_path: Path) -> None:
    for content in (b"", b"id,text\n", b"PK\x03\x04garbage"):
        (tmp_path / "r.xlsx").write_bytes(content)
        assert f"{tmp_path}/r.xlsx: not a readable .xlsx workbook" in problem(str(tmp_path / "r.xlsx"))


class Exported:
    """Any library's table: it has only the Arrow PyCapsule interface."""

    def __init__(self, content: pa.Table) -> None:
        self._content = content

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._content.__arrow_c_stream__(requested_schema)


FRAME = pd.DataFrame({"id": ["a", "b", "c"], "n": [1, 2, 3], "when": [pd.Timestamp("2024-01-01 00:00:00.5")] * 3})


@pytest.mark.parametrize("table", [FRAME, pa.Table.from_pandas(FRAME), Exported(pa.Table.from_pandas(FRAME))])
def test_a_table_in_memory_is_a_dataset(table: object) -> None:
    batch = Batch.model_validate({"name": "x", "model": "auto", "prompt": "{n}", "dataset": table})
    requests = list(row_requests(batch))
    assert [request.messages[0]["content"] for request in requests] == ["1", "2", "3"]
    opened = Dataset.open(batch.dataset)
    assert (opened.path, dict(decimals_of(opened))) == ("table", {"when": 3})
    assert batch.model_dump(mode="json")["dataset"] == "<table of 3 rows>"
    assert Batch(**batch.model_dump()).dataset is batch.dataset


def test_an_unnamed_index_of_a_frame_is_no_column_and_a_named_one_is() -> None:
    part = FRAME[FRAME["n"] > 1]
    assert Dataset.open(Table.of(part)).columns == ("id", "n", "when")
    assert set(Dataset.open(Table.of(part.set_index("id"))).columns) == {"id", "n", "when"}


def test_a_frame_that_arrow_cannot_hold_is_refused_with_its_column() -> None:
    with pytest.raises(DatasetError, match="column a "):
        Table.of(pd.DataFrame({"a": [1, "x"]}))


def test_views_of_texts_are_texts() -> None:
    content = pa.table({"id": pa.array(["a"], pa.string_view())})
    assert str(schema(Dataset.open(Table.of(content))).field("id").type) == "string"


def given_input(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    standard_input._kept.cache_clear()
    piped = SimpleNamespace(buffer=io.BytesIO(content), closed=False, isatty=lambda: False)
    monkeypatch.setattr(sys, "stdin", piped)


@pytest.mark.parametrize("kind", ["csv", "jsonl", "json", "parquet", "xlsx"])
def test_standard_input_is_read_as_often_as_needed_in_any_format(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    path = tmp_path / f"r.{kind}"
    match kind:
        case "csv":
            path.write_text("id\na\nb\n")
        case "jsonl":
            path.write_text('{"id": "a"}\n{"id": "b"}\n')
        case "json":
            path.write_text('[{"id": "a"}, {"id": "b"}]')
        case "parquet":
            pa.parquet.write_table(pa.table({"id": ["a", "b"]}), path)
        case _:
            workbook(path, One=[["id"], ["a"], ["b"]])
    given_input(monkeypatch, path.read_bytes())
    dataset = Dataset.open("-")
    assert [[row.values["id"] for row in dataset.rows()] for _ in range(2)] == [["a", "b"], ["a", "b"]]
    assert next(dataset.rows()).place.startswith("standard input ")


def test_standard_input_takes_a_format_and_options(monkeypatch: pytest.MonkeyPatch) -> None:
    given_input(monkeypatch, "id\ttext\n1\té\n".encode("cp1252"))
    assert values(Source(path="-", format="tsv", encoding="cp1252")) == [{"id": "1", "text": "é"}]


def test_a_terminal_is_no_dataset(monkeypatch: pytest.MonkeyPatch) -> None:
    given_input(monkeypatch, b"")
    assert problem("-") == "standard input has no rows"
    standard_input._kept.cache_clear()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(closed=False, isatty=lambda: True))
    assert "standard input: no data; pipe a file" in problem("-")


BAD = [
    ({"path": "x.csv", "delimiter": ";;"}, "it must be one character"),
    ({"path": "x.csv", "delimiter": '"'}, "it must be one character"),
    ({"path": "x.csv", "encoding": "utf9"}, "unknown encoding"),
    ({"path": "x.csv", "encoding": "base64"}, "unknown encoding"),
    ({"path": "x.csv", "decimal": ","}, "is also the delimiter"),
    ({"path": "x.csv", "decimal": "'"}, "Input should be"),
    ({"path": "x.parquet", "delimiter": ";"}, "delimiter does not apply to parquet"),
    ({"path": "x.JSONL.gz", "sheet": "One"}, "sheet does not apply to jsonl"),
    ({"path": "x.csv", "format": "xlsx", "encoding": "utf-8"}, "encoding does not apply to xlsx"),
    ({"path": "x.csv", "delim": ";"}, "Extra inputs are not permitted"),
    ({"path": "x.csv", "format": "xls"}, "Input should be 'csv', 'tsv'"),
    ({"delimiter": ";"}, "Field required"),
    ("x.parquet.gz", "decompress it"),
    ("s3://", "write s3://BUCKET/KEY"),
    ("https://host/x.csv", "https:// is not supported"),
    ("file://host/x.csv", "three slashes"),
]


@pytest.mark.parametrize(("dataset", "said"), BAD)
def test_a_bad_option_is_refused_by_the_spec(dataset: object, said: str) -> None:
    fields = {"name": "x", "model": "auto", "prompt": "{id}", "dataset": dataset}
    with pytest.raises(ValueError, match="dataset") as caught:
        Batch.model_validate(fields)
    assert said in str(caught.value)


SECRET = "wJalrXUtnFEMI"


@pytest.mark.parametrize(
    "url",
    [
        f"s3://AKIAIOSFODNN7:{SECRET}@bucket/rows.csv",
        f"gs://{SECRET}@bucket/rows.csv",
        f"s3://bucket/rows.csv?access_key=AKIAIOSFODNN7&secret_key={SECRET}",
        f"s3://bucket/rows.csv?X-Amz-Signature={SECRET}",
        f"https://host/rows.csv?X-Amz-Signature={SECRET}",
    ],
)
def test_a_url_with_credentials_is_refused_without_showing_them(url: str) -> None:
    for dataset in (url, {"path": url}):
        fields = {"name": "x", "model": "auto", "prompt": "{id}", "dataset": dataset}
        with pytest.raises(ValueError, match="dataset") as caught:
            Batch.model_validate(fields)
        assert SECRET not in str(caught.value)
    with pytest.raises(DatasetError) as refused:
        Dataset.open(url)
    assert SECRET not in str(refused.value)


def test_an_output_on_an_object_store_is_refused_with_the_next_step() -> None:
    with pytest.raises(ValueError, match="an object store holds answers as a folder of parts; end its name in /"):
        Batch(name="x", model="auto", prompt="{id}", dataset="x.csv", output=f"s3://{SECRET}@b/x.csv")
