"""Types keep their meaning: what a Parquet dataset holds is read back from the answers file, in any format."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

import pandas as pd
import pyarrow as pa
import pyarrow.parquet
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pareta_batch.answers.answers_file import write_answers
from pareta_batch.engine.planning import register_rows
from pareta_batch.ledger.ledger import Ledger
from pareta_batch.spec import Batch
from tests.batch.batches import batch_in
from tests.examples import share_of

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=8)
EARLY, LATE = datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59)


@dataclass(frozen=True)
class Column:
    """A column type, values of it, and how pandas reads it from the text of a CSV."""

    type: pa.DataType
    values: st.SearchStrategy[Any]
    parse: Callable[[str], Any]


def stamp(text: str) -> Any:
    return pd.Timestamp(text)


COLUMNS = {
    "text": Column(pa.string(), TEXTS, str),
    "bytes": Column(pa.binary(), TEXTS.map(str.encode), str.encode),
    "large text": Column(pa.large_string(), TEXTS, str),
    "category": Column(pa.dictionary(pa.int8(), pa.string()), st.sampled_from(["a", "NA", "007"]), str),
    "flag": Column(pa.bool_(), st.booleans(), {"true": True, "false": False}.__getitem__),
    "small": Column(pa.int8(), st.integers(-128, 127), int),
    "big": Column(pa.int64(), st.integers(-(2**63), 2**63 - 1), int),
    "unsigned": Column(pa.uint64(), st.integers(0, 2**64 - 1), int),
    "float": Column(pa.float64(), st.floats(allow_nan=False), float),
    "float32": Column(pa.float32(), st.floats(width=32, allow_nan=False), float),
    "decimal": Column(pa.decimal128(20, 3), st.decimals(-(10**9), 10**9, places=3), Decimal),
    "date": Column(pa.date32(), st.dates(), date.fromisoformat),
    "time": Column(pa.time64("us"), st.times(), time.fromisoformat),
    "seconds": Column(pa.timestamp("s"), st.datetimes(EARLY, LATE).map(lambda t: t.replace(microsecond=0)), stamp),
    "micros": Column(pa.timestamp("us"), st.datetimes(EARLY, LATE), stamp),
    "nanos": Column(pa.timestamp("ns"), st.integers(-(2**63) + 1, 2**63 - 1).map(pd.Timestamp), stamp),
    "zoned": Column(
        pa.timestamp("us", "Europe/Berlin"),
        st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)).map(lambda t: t.replace(tzinfo=UTC)),
        stamp,
    ),
    "duration": Column(pa.duration("us"), st.timedeltas(timedelta(-9999), timedelta(9999)), pd.Timedelta),
    "uuid": Column(pa.uuid(), st.uuids().map(lambda value: value.bytes), lambda text: UUID(text).bytes),
    "list": Column(pa.list_(pa.int64()), st.lists(st.integers(0, 9)), json.loads),
    "struct": Column(
        pa.struct([("d", pa.date32())]), st.just({"d": date(2024, 1, 2)}), lambda text: {"d": date(2024, 1, 2)}
    ),
}


def answers(folder: Path, table: pa.Table, suffix: str, **changes: Any) -> Path:
    """Register a Parquet dataset and write its answers file, all rows pending."""
    dataset = folder / "rows.parquet"
    pa.parquet.write_table(table, dataset)
    made = batch_in(folder, dataset=str(dataset), output=str(folder / f"answers{suffix}"), prompt="{id}", **changes)
    ledger = Ledger.open("sqlite://")
    try:
        register_rows(made, ledger)
        return write_answers(made, ledger)
    finally:
        ledger.close()


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    """A table with a column of every type, each with gaps."""
    rows = draw(st.integers(1, 4))
    columns = {
        name: pa.array(draw(st.lists(st.none() | column.values, min_size=rows, max_size=rows)), column.type)
        for name, column in COLUMNS.items()
    }
    return pa.table({"id": [*map(str, range(rows))], **columns})


@settings(max_examples=share_of(25), suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(table=tables())
def test_pandas_reads_from_the_csv_what_the_parquet_dataset_held(table: pa.Table) -> None:
    with TemporaryDirectory() as folder:
        read = pd.read_csv(answers(Path(folder), table, ".csv"), dtype=str, keep_default_na=False, na_values=[""])
    for name, column in COLUMNS.items():
        parsed = [None if pd.isna(text) else column.parse(text) for text in read[name]]
        assert pa.array(parsed, column.type).equals(table[name].combine_chunks()), name


def test_pandas_finds_timestamps_and_numbers_by_itself(tmp_path: Path) -> None:
    """A column with and without fractions of a second would stay text."""
    moments = [datetime(2024, 1, 2), datetime(2024, 1, 2, 3, 4, 5, 678000), None]
    table = pa.table(
        {
            "id": ["a", "b", "c"],
            "t": pa.array(moments, pa.timestamp("us")),
            "day": pa.array([date(2024, 1, 2), None, date(2024, 2, 1)]),
            "amount": pa.array([Decimal("12.30"), None, Decimal("-0.05")], pa.decimal128(9, 2)),
            "n": pa.array([1, None, 3]),
            "ok": pa.array([True, False, True]),
        }
    )
    made = answers(tmp_path, table, ".csv")
    assert made.read_text().splitlines()[1].startswith("a,2024-01-02 00:00:00.000,2024-01-02,12.30,1,true,")
    read = pd.read_csv(made, parse_dates=["t", "day"])
    assert read["t"].tolist()[:2] == moments[:2]
    assert read["day"].dt.date.tolist()[2] == date(2024, 2, 1)
    assert read["amount"].tolist()[::2] == [12.3, -0.05]
    assert read["ok"].tolist() == [True, False, True]


@settings(max_examples=share_of(20), suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            TEXTS,
            st.integers(-(2**63), 2**63 - 1),
            st.floats(allow_nan=False),
            st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1)),
            st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1)).map(lambda moment: moment.replace(tzinfo=UTC)),
            st.booleans(),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_the_documented_call_of_pandas_reads_values_with_their_types(rows: list[tuple[Any, ...]]) -> None:
    kinds = [pa.string(), pa.int64(), pa.float64(), pa.timestamp("us"), pa.timestamp("us", "UTC"), pa.bool_()]
    columns = {
        name: pa.array(values, kind)
        for name, values, kind in zip("tnfmzb", zip(*rows, strict=True), kinds, strict=True)
    }
    table = pa.table({"id": [*map(str, range(len(rows)))], **columns})
    with TemporaryDirectory() as folder:
        read = pd.read_csv(
            answers(Path(folder), table, ".csv"),
            parse_dates=["m", "z"],
            dtype={"id": str, "t": str},
            keep_default_na=False,
            na_values=[""],
        )
    assert [*read[[*"tnfmzb"]].astype(object).itertuples(index=False, name=None)] == rows


@settings(max_examples=share_of(15), suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(table=tables())
def test_a_parquet_answers_file_has_the_datasets_columns_as_they_were(table: pa.Table) -> None:
    with TemporaryDirectory() as folder:
        read = pa.parquet.read_table(answers(Path(folder), table, ".parquet"))
        held = pa.parquet.read_table(Path(folder) / "rows.parquet")  # Parquet itself stores seconds as milliseconds
    assert read.select(table.column_names).equals(held)


def test_every_line_of_a_jsonl_answers_file_is_strict_json(tmp_path: Path) -> None:
    nested = [{"v": [float("nan"), 1.5]}, {"v": [float("-inf")]}]
    ends = ["a\u2028b\u2029c\u0085d", "\r\n\x0b\x0c"]
    table = pa.table({"id": ["a", "b"], "x": [float("nan"), float("inf")], "deep": nested, "text": ends})
    lines = answers(tmp_path, table, ".jsonl").read_text().splitlines()

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    rows = [json.loads(line, parse_constant=refuse) for line in lines]
    assert [(row["x"], row["deep"]) for row in rows] == [(None, {"v": [None, 1.5]}), (None, {"v": [None]})]
    assert [row["text"] for row in rows] == ends


def test_a_prompt_has_what_parquet_columns_say_without_quotation_marks(tmp_path: Path) -> None:
    table = pa.table(
        {
            "id": ["a"],
            "amount": pa.array([Decimal("12.30")], pa.decimal128(9, 2)),
            "d": pa.array([date(2024, 1, 2)]),
            "raw": pa.array(["é".encode()], pa.binary()),
            "u": pa.array([UUID(int=1).bytes], pa.uuid()),
            "s": pa.array([{"d": date(2024, 1, 2), "b": [b"x"]}]),
        }
    )
    pa.parquet.write_table(table, tmp_path / "rows.parquet")
    prompt = "{amount} {d} {raw} {u} {s}"
    made: Batch = batch_in(tmp_path, dataset=str(tmp_path / "rows.parquet"), prompt=prompt)
    ledger = Ledger.open("sqlite://")
    register_rows(made, ledger)
    (ask,) = ledger.missing("test", 0, 10)
    ledger.close()
    assert ask.messages[-1]["content"] == (
        '12.30 2024-01-02 é 00000000-0000-0000-0000-000000000001 {"d": "2024-01-02", "b": ["x"]}'
    )
