"""Eval files are checked before anything is paid for."""

import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from pareta_batch.errors import DatasetError
from pareta_batch.rows.source import Source
from pareta_evals.rows import read_eval_rows

GOOD: dict[str, object] = {"input": "How are you?", "expected": "fine"}


def written(folder: Path, *rows: dict[str, object]) -> str:
    path = folder / "rows.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return str(path)


def test_rows_are_read_as_they_are_sent(tmp_path: Path) -> None:
    rows = read_eval_rows(written(tmp_path, GOOD, {"input": "And you?", "expected": "well"}))
    assert rows.items == (GOOD, {"input": "And you?", "expected": "well"})
    assert rows.groups is None


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ({"input": "x"}, "line 2: no value for 'expected'"),
        ({"input": "x", "expected": None}, "line 2: no value for 'expected'"),
        ({"expected": "x"}, "line 2: no value for 'input'; it has: expected"),
        ({"input": {"text": "x"}, "expected": "y"}, "line 2: 'input' is an object, in the first row it is text"),
        ({"input": "x", "expected": 3}, "line 2: 'expected' is a number, in the first row it is text"),
        ({"input": "x", "expected_output": "y"}, "line 2: 'expected' is missing, in the first row it is text"),
        ({"input": "How are you?", "expected": "ill"}, "line 2: duplicate input, the same input as"),
    ],
)
def test_a_bad_row_is_named_with_its_file_line_and_reason(tmp_path: Path, second: dict[str, object], said: str) -> None:
    with pytest.raises(DatasetError) as problem:
        read_eval_rows(written(tmp_path, GOOD, second))
    assert f"{tmp_path}/rows.jsonl {said}" in str(problem.value)


def test_an_empty_file_is_no_eval_set(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="has no rows"):
        read_eval_rows(written(tmp_path))


def test_the_group_column_says_what_belongs_together_and_is_not_sent(tmp_path: Path) -> None:
    path = written(tmp_path, {**GOOD, "document": "a"}, {"input": "?", "expected": "!", "document": 7})
    rows = read_eval_rows(path, "document")
    assert rows.groups == {0: "a", 1: "7"}
    assert "document" not in rows.items[0]


def test_a_row_without_a_group_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="line 1: no value for the group column 'document'"):
        read_eval_rows(written(tmp_path, GOOD), "document")


def test_values_of_parquet_are_rows_as_json_has_them(tmp_path: Path) -> None:
    """The service takes JSON lines, which have no dates."""
    given = {
        "input": ["a", "b"],
        "expected": pa.array([{"d": date(2024, 1, 2), "amount": Decimal("12.30")}] * 2),
        "score": [float("nan"), 1.5],
    }
    pa.parquet.write_table(pa.table(given), tmp_path / "rows.parquet")
    first, second = read_eval_rows(str(tmp_path / "rows.parquet")).items
    assert first == {"input": "a", "expected": {"d": "2024-01-02", "amount": "12.30"}, "score": None}
    assert second["score"] == 1.5
    json.dumps([first, second], allow_nan=False)


def test_eval_rows_are_a_dataset_with_options_like_any_other(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("input;expected\none;1,5\n")
    (tmp_path / "b.csv").write_text("input;expected\ntwo;2\n")
    rows = read_eval_rows(Source(path=str(tmp_path), delimiter=";", decimal=","))
    assert [dict(row) for row in rows.items] == [
        {"input": "one", "expected": "1.5"},
        {"input": "two", "expected": "2"},
    ]
