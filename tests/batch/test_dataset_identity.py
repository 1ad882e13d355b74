"""Row identity: the same rows are the same work, whatever files hold them."""

import csv
import gzip
import io
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pareta_batch.rows.frames import Table
from pareta_batch.rows.requests import row_requests
from pareta_batch.rows.source import Source
from pareta_batch.spec import Batch
from tests.examples import share_of

Rows = Sequence[Mapping[str, Any]]
Write = Callable[[Rows, Path], None]


def delimited(delimiter: str, encoding: str = "utf-8") -> Write:
    def write(rows: Rows, path: Path) -> None:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter, quoting=csv.QUOTE_ALL)
        writer.writeheader()
        writer.writerows(rows)
        path.write_bytes(packed(path, text.getvalue().encode(encoding)))

    return write


def packed(path: Path, content: bytes) -> bytes:
    match path.suffix.lower():
        case ".gz":
            return gzip.compress(content)
        case ".zst":
            return bytes(pa.compress(content, "zstd", asbytes=True))
        case _:
            return content


def json_lines(rows: Rows, path: Path) -> None:
    path.write_bytes(packed(path, "".join(json.dumps(row) + "\n" for row in rows).encode()))


def json_array(rows: Rows, path: Path) -> None:
    path.write_bytes(packed(path, json.dumps(rows, ensure_ascii=False, indent=1).encode()))


def parquet(rows: Rows, path: Path) -> None:
    pq.write_table(pa.Table.from_pylist([dict(row) for row in rows]), path, row_group_size=2)


def workbook(rows: Rows, path: Path) -> None:
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet()
    sheet.append(list(rows[0]))
    for row in rows:
        # Openpyxl would store a text that begins with = as a formula.
        cells = [openpyxl.cell.WriteOnlyCell(sheet, value) for value in row.values()]
        for cell in cells:
            cell.data_type = "s" if isinstance(cell.value, str) else cell.data_type
        sheet.append(cells)
    book.save(path)


UNTYPED: Mapping[str, Write] = {
    "r.csv": delimited(","),
    "r.csv.gz": delimited(","),
    "r.TSV.ZST": delimited("\t"),
    "r.tsv": delimited("\t"),
}
TYPED: Mapping[str, Write] = {
    "r.jsonl": json_lines,
    "r.jsonl.zst": json_lines,
    "r.json": json_array,
    "r.JSON.gz": json_array,
    "r.parquet": parquet,
    "r.xlsx": workbook,
}


def identities(dataset: object, id_column: str | None) -> list[tuple[int, str, str]]:
    fields = {"name": "x", "model": "auto", "prompt": "{id} {n}", "id_column": id_column, "dataset": dataset}
    return [(each.position, each.key, each.fingerprint) for each in row_requests(Batch.model_validate(fields))]


def check_same(rows: Rows, cut: int, name: str, id_column: str | None) -> None:
    """Check that a format has the identities of a table in memory, in one file and in a folder of two."""
    expected = identities(Table.of(pa.Table.from_pylist([dict(row) for row in rows])), id_column)
    assert len(expected) == len(rows)
    write = {**UNTYPED, **TYPED}[name]
    with tempfile.TemporaryDirectory() as folder:
        whole, parts = Path(folder, name), Path(folder, "parts")
        write(rows, whole)
        assert identities(str(whole), id_column) == expected
        parts.mkdir()
        write(rows[:cut], parts / f"0-{name}")
        write(rows[cut:], parts / f"1-{name}")
        assert identities(str(parts), id_column) == expected
        assert identities(f"{parts}/*-{name}", id_column) == expected


# A workbook holds no control characters, and turns a carriage return into a line feed.
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from(',;"\t\n{}=_'), min_size=1, max_size=12)


def rows_of(values: st.SearchStrategy[Any]) -> st.SearchStrategy[list[dict[str, Any]]]:
    rows = st.lists(st.fixed_dictionaries({"n": values, "other": st.none() | TEXT}), min_size=2, max_size=5)
    return rows.map(
        lambda found: [{"id": f"r{number}", "n": row["n"], "other": row["other"]} for number, row in enumerate(found)]
    )


IDS = st.sampled_from([None, "id"])


@pytest.mark.parametrize("name", [*UNTYPED, *TYPED])
@settings(max_examples=share_of(6))
@given(rows_of(TEXT), st.integers(1, 4), IDS)
def test_rows_of_texts_are_the_same_work_in_every_format(
    name: str, rows: Rows, cut: int, id_column: str | None
) -> None:
    check_same(rows, min(cut, len(rows) - 1), name, id_column)


NUMBERS: Mapping[str, st.SearchStrategy[Any]] = {
    "whole": st.integers(-(2**53), 2**53),
    "float": st.integers(-(10**9), 10**9).map(lambda number: number + 0.5),
    "boolean": st.booleans(),
}


@pytest.mark.parametrize("name", TYPED)
@settings(max_examples=share_of(6))
@given(st.one_of([rows_of(values) for values in NUMBERS.values()]), st.integers(1, 4), IDS)
def test_rows_of_numbers_are_the_same_work_in_every_typed_format(
    name: str, rows: Rows, cut: int, id_column: str | None
) -> None:
    check_same(rows, min(cut, len(rows) - 1), name, id_column)


def test_an_option_does_not_change_the_work(tmp_path: Path) -> None:
    rows = [{"id": "a", "n": "café"}, {"id": "b", "n": "x,y"}]
    delimited(",")(rows, tmp_path / "r.csv")
    delimited(";", "cp1252")(rows, tmp_path / "german.csv")
    german = Source(path=str(tmp_path / "german.csv"), delimiter=";", encoding="cp1252")
    for id_column in (None, "id"):
        assert identities(german, id_column) == identities(str(tmp_path / "r.csv"), id_column)
