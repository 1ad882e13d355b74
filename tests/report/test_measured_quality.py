"""Measured quality: the same from every file format, for every kind of label."""

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pareta_batch.answers.answers_file import write_answers
from pareta_batch.engine.planning import register_rows
from pareta_batch.ledger.ledger import Ledger
from pareta_batch.ledger.outcomes import Outcome
from pareta_batch.spec import Batch
from pareta_report import Page, batch_measured_quality, render_page
from pareta_report.batch.truth import is_right, label_of
from tests.grids import extremes
from tests.report.test_page import NOW, Tags

FORMATS = (".csv", ".jsonl", ".parquet")


def answered_file(folder: Path, table: pa.Table, outcomes: list[dict[str, Any]], suffix: str, source: str) -> Path:
    """Write the answers file of a dataset in format `source`: the first rows have these outcomes."""
    dataset = folder / f"rows{source}"
    if source == ".parquet":
        pa.parquet.write_table(table, dataset)
    else:
        dataset.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()), encoding="utf-8")
    output = folder / f"answers{suffix}"
    batch = Batch(name="b", model="auto", dataset=str(dataset), prompt="{id}", id_column="id", output=str(output))
    ledger = Ledger.open("sqlite://")
    register_rows(batch, ledger)
    asks = list(ledger.missing("b", 0, 500))
    made = [
        Outcome(ask.key, ask.fingerprint, **{"state": "settled", "attempts": 1, **outcome})
        for ask, outcome in zip(asks, outcomes, strict=False)
    ]
    ledger.record("b", made)
    write_answers(batch, ledger)
    ledger.close()
    return output


def texts(*answers: str) -> list[dict[str, Any]]:
    return [{"answer": answer} for answer in answers]


LABELS: dict[str, tuple[pa.Array, list[str]]] = {
    "whole numbers with gaps": (pa.array([1, None, 0, 12]), ["1", "7", "0", "12.0"]),
    "small whole numbers": (pa.array([1, None, 0], pa.uint8()), ["1", "x", " 0 "]),
    "floats": (pa.array([1.0, 0.5, None, 1e20]), ["1", ".50", "", "1e20"]),
    "float32": (pa.array([1.5, None, 2.0], pa.float32()), ["1.5", "", "2"]),
    "decimals": (pa.array([Decimal("12.30"), Decimal("1E+3"), None], pa.decimal128(9, 2)), ["12.3", "1000", ""]),
    "booleans with gaps": (pa.array([True, None, False]), ["True", "x", "false"]),
    "texts": (pa.array(["NA", "", "Straße", "ab c"]), ["na", "x", "STRASSE", " ab\n  c"]),
    "numbers as texts": (pa.array(["007", "1e0", "1.50"]), ["7", "1", "1.5"]),
    "composed letters": (pa.array(["caf\u00e9", "\uff11", "\u212b"]), ["cafe\u0301", "1", "\u00c5"]),
    "bytes": (pa.array(["é".encode(), None], pa.binary()), ["É", ""]),
    "categories": (pa.array(["a", None, "b"], pa.dictionary(pa.int8(), pa.string())), ["a", "x", "B"]),
    "dates": (pa.array([date(2024, 1, 2), None]), ["2024-01-02", "x"]),
    "timestamps": (
        pa.array([datetime(2024, 1, 2, 3, 4, 5, 500_000, tzinfo=UTC), datetime(2024, 1, 2, tzinfo=UTC)]),
        ["2024-01-02 03:04:05.5+00:00", "2024-01-02 00:00:00+00:00"],
    ),
    "lists": (pa.array([[1, 2], None, ["a"]][:2]), ["[1,2.0]", ""]),
    "durations": (
        pa.array([timedelta(hours=1), timedelta(-2, 3, 4), timedelta()]),
        ["PT60M", "-P1DT23H59M56.999996S", "PT0S"],
    ),
    "nanoseconds": (pa.array([1, -1], pa.duration("ns")), ["PT0.000000001S", "-PT0.000000001S"]),
    "lists of bytes": (pa.array([[b"a"], []]), ['["A"]', "[]"]),
    "lists with gaps": (pa.array([[1.0, float("nan")], [float("inf"), None]]), ["[1, null]", "[null, null]"]),
    "lists of durations": (pa.array([[timedelta(1)]]), ['["PT24H"]']),
    "objects": (pa.array([{"a": 1, "b": "x"}]), ['{"b": "X", "a": 1.0}']),
}


@pytest.mark.parametrize("suffix", extremes(FORMATS))
@pytest.mark.parametrize("kind", LABELS)
def test_right_answers_are_right_in_every_format(tmp_path: Path, kind: str, suffix: str) -> None:
    labels, answers = LABELS[kind]
    table = pa.table({"id": [*map(str, range(len(labels)))], "label": labels})
    quality = batch_measured_quality(answered_file(tmp_path, table, texts(*answers), suffix, ".parquet"), "label")
    assert quality is not None
    expected = sum(label.as_py() not in (None, "") for label in labels)
    assert (quality.n, quality.right, quality.macro_f1) == (expected, expected, 1.0)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("source", [".jsonl", ".parquet"])
def test_pending_rows_do_not_count_and_failed_ones_are_wrong(tmp_path: Path, suffix: str, source: str) -> None:
    table = pa.table({"id": [*map(str, range(120))], "label": [1] * 120})
    failures: list[dict[str, Any]] = [{"state": "failed", "error": "APIStatusError", "error_message": "HTTP 500"}] * 20
    made = answered_file(tmp_path, table, [*texts(*["1"] * 40), *failures], suffix, source)
    quality = batch_measured_quality(made, "label")
    assert quality is not None
    assert (quality.n, quality.right, quality.unanswered, quality.failed, quality.pending) == (60, 40, 20, 20, 60)


def test_where_every_row_is_pending_nothing_is_measured(tmp_path: Path) -> None:
    table = pa.table({"id": ["a"], "label": ["x"]})
    assert batch_measured_quality(answered_file(tmp_path, table, [], ".csv", ".jsonl"), "label") is None


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_page_says_of_each_row_what_the_ledger_says(tmp_path: Path, suffix: str) -> None:
    table = pa.table({"id": ["right", "wrong", "blank", "failed", "cut", "pending"], "label": ["x"] * 5 + [None]})
    outcomes = [
        *texts("x", "y"),
        {"answer": None, "flag": "empty"},
        {"state": "failed", "error": "APIStatusError", "error_message": "pending: a text of the service"},
        {"answer": "x", "flag": "cut"},
    ]
    made = answered_file(tmp_path, table, outcomes, suffix, ".parquet")
    tags = Tags(render_page(Page("t", NOW, answers=made, id_column="id", truth_column="label")))
    states = [tag["data-state"] for tag in tags.named("article") if "data-state" in tag]
    assert states == ["right", "wrong", "wrong", "failed", "right", "pending"]
    for said in ("· cut", "· empty", "blank answer", "pending: not sent yet", "1 failed, counted as wrong; 1 blank"):
        assert said in tags.text
    without_truth = Tags(render_page(Page("t", NOW, answers=made, id_column="id")))
    states = [tag["data-state"] for tag in without_truth.named("article") if "data-state" in tag]
    assert states == ["answered", "answered", "answered", "failed", "answered", "pending"]


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("source", [".jsonl", ".parquet"])
def test_a_column_of_the_dataset_is_never_taken_for_a_result(tmp_path: Path, suffix: str, source: str) -> None:
    """A truth in a column `answer` was compared with itself."""
    rows: list[dict[str, str | None]] = [
        {"id": "a", "answer": "x", "error": None},
        {"id": "b", "answer": "y", "error": "old", "pareta_flag": "f"},
    ]
    table = pa.Table.from_pylist(rows, schema=pa.schema([(name, pa.string()) for name in rows[1]]))
    made = answered_file(tmp_path, table, texts("x", "wrong"), suffix, source)
    quality = batch_measured_quality(made, "answer")
    assert quality is not None
    assert (quality.n, quality.right) == (2, 1)
    tags = Tags(render_page(Page("t", NOW, answers=made, id_column="id", truth_column="answer")))
    states = [tag["data-state"] for tag in tags.named("article") if "data-state" in tag]
    assert states == ["right", "wrong"]


@pytest.mark.parametrize(
    ("truth", "answer"),
    [("1", "1.01"), ("1", "true"), ("a1", "1"), ("1,000", "1000"), ("é", "e"), ("[1, 2]", "[2, 1]"), ("{a", "{ b")],
)
def test_labels_that_differ_stay_different(truth: str, answer: str) -> None:
    assert not is_right(truth, answer)


@pytest.mark.parametrize("text", ["9" * 200_000 + "x", "[" * 100_000, ":00." + "0" * 100_000, "1e" + "9" * 100_000])
def test_an_answer_of_any_shape_is_compared_at_once(text: str) -> None:
    assert is_right(text, f" {text} ")


@given(st.integers() | st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_equals_itself_however_it_is_written(number: float) -> None:
    decimal = Decimal(repr(number))
    for text in (f"{decimal:f}", f"{decimal:e}", f" {decimal:+f}\n"):
        assert is_right(number, text)


@given(st.text())
def test_a_label_is_in_its_form_already(text: str) -> None:
    label = label_of(text)
    assert label_of(f"  {text}\n") == label
    assert label_of(text.upper().lower()) == label_of(text.lower().upper().lower())
