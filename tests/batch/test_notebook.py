"""Batches from Python: a frame in, the same frame with answers out; each row is paid once."""

import asyncio
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from pydantic import BaseModel

from pareta_batch import (
    Batch,
    BatchReport,
    BatchStopped,
    DatasetError,
    InvalidOptions,
    Ledger,
    complete,
    complete_sync,
)
from pareta_batch.notebook import NOT_IN_NAME, BatchOptions, batch_of, run_blocking
from pareta_batch.run import complete_shards
from pareta_client import ParetaError
from pareta_sandbox.testing import Sandbox, Status

ROWS = {"key": ["b", "a", "c"], "text": [f"My invoice number {n} is wrong." for n in range(3)]}
ASK: Any = {
    "prompt": "Which team? {text}",
    "model": "ep_seed_tickets",
    "id_column": "key",
    "sampling": {"max_tokens": 10},
    "progress": False,
}


@pytest.fixture(autouse=True)
def environment(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARETA_API_KEY", sandbox.api_key)
    monkeypatch.setenv("PARETA_BASE_URL", sandbox.base_url)
    monkeypatch.setenv("PARETA_LEDGER_URL", f"sqlite:///{tmp_path / 'ledger.db'}")
    monkeypatch.chdir(tmp_path)


def plain(frame: Any) -> dict[str, list[object]]:  # a frame of any kind
    if isinstance(frame, pd.DataFrame):
        return {str(name): frame[name].tolist() for name in frame}
    columns: dict[str, list[object]] = (
        frame.to_dict(as_series=False) if isinstance(frame, pl.DataFrame) else frame.to_pydict()
    )
    return columns


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame, pa.table, pa.RecordBatch.from_pydict])
async def test_a_frame_comes_back_as_the_same_kind_in_the_same_order(kind: Callable[[Any], Any]) -> None:
    frame = kind(ROWS)
    answers = await complete(frame, **ASK)
    assert isinstance(answers, pa.Table if isinstance(frame, pa.RecordBatch) else type(frame))
    columns = plain(answers)
    assert [columns["key"], columns["text"], columns["answer"]] == [ROWS["key"], ROWS["text"], ["billing"] * 3]
    assert "answer" not in plain(frame), "the given frame is not changed"


@pytest.mark.parametrize(
    "index",
    [
        pd.Index([7, 7, 3]),
        pd.Index(["x", "y", "z"], name="place"),
        pd.MultiIndex.from_tuples([(1, "a"), (1, "b"), (0, "a")]),
        pd.date_range("2026-01-01", periods=3),
    ],
)
async def test_an_index_of_pandas_is_kept(index: pd.Index) -> None:
    frame = pd.DataFrame(ROWS, index=index)
    answers = await complete(frame, **ASK)
    pd.testing.assert_frame_equal(answers[["key", "text"]], frame)
    assert answers["answer"].tolist() == ["billing"] * 3


async def test_the_same_cell_again_pays_nothing_and_more_rows_pay_for_themselves(sandbox: Sandbox) -> None:
    frame = pd.DataFrame(ROWS)
    for part, paid in ((frame.head(2), 2), (frame.head(2), 2), (frame, 3), (frame.head(1), 3), (frame, 3)):
        answers = await complete(part, **ASK)
        assert answers["answer"].tolist() == ["billing"] * len(part)
        assert sandbox.books().completions == paid
    sandbox.debited_once()


async def test_a_failed_row_has_its_error_in_its_place(sandbox: Sandbox) -> None:
    sandbox.inject(Status(status=400, detail="too long", times=1))
    reports: list[BatchReport] = []
    answers = await complete(pd.DataFrame(ROWS), **ASK, on_report=reports.append)
    assert answers["answer"].isna().sum() == 1
    assert answers["error"].dropna().tolist() == ["BadRequestError: too long"]
    assert (reports[0].settled, reports[0].failed) == (2, 1)


async def test_a_batch_that_stops_raises_with_the_answers_so_far(sandbox: Sandbox) -> None:
    frame = pd.DataFrame(ROWS)
    await complete(frame.head(2), **ASK)
    sandbox.inject(Status(status=402, detail="insufficient balance"))
    with pytest.raises(BatchStopped, match="insufficient balance") as caught:
        await complete(frame, **ASK)
    answers, report = caught.value.answers, caught.value.report
    assert isinstance(answers, pd.DataFrame)
    assert isinstance(report, BatchReport)
    assert answers["answer"].tolist()[:2] == ["billing"] * 2
    assert answers["answer"].isna().tolist() == [False, False, True]
    assert report.settled == 2


def test_the_blocking_twin_works_without_a_loop() -> None:
    assert complete_sync(pd.DataFrame(ROWS), **ASK)["answer"].tolist() == ["billing"] * 3


async def test_the_blocking_twin_works_in_a_running_loop() -> None:
    assert complete_sync(pd.DataFrame(ROWS), **ASK)["answer"].tolist() == ["billing"] * 3


@pytest.mark.parametrize("is_open", [False, True])
def test_ctrl_c_ends_the_blocking_twin_before_and_while_it_sends(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, is_open: bool
) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    frame = pd.DataFrame({"key": [*range(4000)], "text": [f"invoice {n}" for n in range(4000)]})

    async def interrupting(session: object, shards: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        await complete_shards(session, shards)  # type: ignore[arg-type]

    async def never() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.sleep(60)

    monkeypatch.setattr("pareta_batch.notebook.complete_shards", interrupting)
    try:
        with pytest.raises(KeyboardInterrupt):
            complete_sync(frame, **ASK) if is_open else run_blocking(never)
    finally:
        signal.signal(signal.SIGINT, before)
    assert sandbox.books().completions < 4000
    sandbox.debited_once()


async def test_two_calls_at_once_share_a_loop() -> None:
    frame = pd.DataFrame(ROWS)
    both = await asyncio.gather(*(complete(frame, **ASK, name=name) for name in ("one", "two")))
    assert [each["answer"].tolist() for each in both] == [["billing"] * 3] * 2


async def test_an_open_ledger_stays_open(tmp_path: Path) -> None:
    ledger = Ledger.open(f"sqlite:///{tmp_path / 'other.db'}")
    await complete(pd.DataFrame(ROWS), **ASK, ledger=ledger, name="own")
    assert ledger.batches() == ["own"]
    ledger.close()


async def test_a_class_of_pydantic_makes_typed_columns() -> None:
    class Team(BaseModel):
        team: str

    batch = batch_of(pa.table(ROWS), "auto", None, {"prompt": "{text}", "answer_schema": Team})
    assert batch.schema_of_answers == Team.model_json_schema()
    asked = ASK | {"answer_schema": Team}
    assert "answer.team" in (await complete(pd.DataFrame(ROWS), **asked)).columns


async def test_the_progress_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    await complete(pd.DataFrame(ROWS), **ASK | {"progress": True, "name": "shown"})
    assert "shown: 3/3 rows" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("frame", "options", "error", "text"),
    [
        (pd.DataFrame({"text": []}), {}, DatasetError, "no rows"),
        (pd.DataFrame({"other": ["x"]}), {"id_column": None}, DatasetError, "text"),
        (pd.DataFrame(ROWS), {"promt": "x"}, InvalidOptions, r"^complete: promt: .*did you mean prompt\?"),
        (pd.DataFrame(ROWS), {"prompt": None}, InvalidOptions, r"^complete: options: .*exactly one of"),
        (pd.DataFrame(ROWS), {"budget_usd": 1, "sampling": {}}, InvalidOptions, "budget_usd needs sampling.max_tokens"),
        ([1, 2], {}, DatasetError, "list: not a data frame"),
        ("rows.csv", {}, DatasetError, "str: not a data frame"),
        (pl.LazyFrame(ROWS), {}, DatasetError, "LazyFrame: not a data frame"),
    ],
)
async def test_bad_input_is_refused_before_anything_is_sent(
    sandbox: Sandbox, frame: Any, options: dict[str, object], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        await complete(frame, **ASK | options)
    assert sandbox.books().completions == 0


async def test_a_missing_key_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PARETA_API_KEY")
    with pytest.raises(ParetaError, match="PARETA_API_KEY"):
        await complete(pd.DataFrame(ROWS), **ASK)


def test_every_field_of_a_batch_is_a_keyword() -> None:
    named = {"dataset", "name", "model", "output", "output_format", "part_format", "part_rows"}
    named |= {"credentials", "runner", "cluster"}
    assert BatchOptions.__annotations__.keys() == Batch.model_fields.keys() - named
    assert Batch.model_fields.keys() >= NOT_IN_NAME


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({"budget_usd": 5.0}, True),
        ({"max_in_flight": 3}, True),
        ({"tolerated_failures": 0.5}, True),
        ({"prompt": "Which? {text}"}, False),
        ({"sampling": {"max_tokens": 11}}, False),
        ({"system_prompt": "Be brief."}, False),
        ({"answer_schema": {"type": "object"}}, False),
    ],
)
def test_the_derived_name_depends_on_what_is_asked(changes: dict[str, object], same: bool) -> None:
    options = {"prompt": "{text}", "sampling": {"max_tokens": 10}}
    first = batch_of(pa.table(ROWS), "auto", None, options).name
    other = batch_of(pa.table({"text": ["other"]}), "auto", None, options | changes).name
    assert (first == other) is same
    assert batch_of(pa.table(ROWS), "ep_other", None, options).name != first


def test_prefect_and_pandas_are_not_imported() -> None:
    code = (
        "import sys; from pareta_batch import complete, complete_sync; from pareta_evals import EvalRunner; complete; "
        "sys.exit(bool({'prefect', 'pandas'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("options", "fields"),
    [
        ({"max_in_flight": 0}, ("max_in_flight",)),
        ({"sampling": {"max_tokens": "many"}}, ("sampling.max_tokens",)),
        ({"max_in_flight": "x", "budget_usd": -1}, ("max_in_flight", "budget_usd")),
        ({"api-key": "pareta_sk_geheim"}, ("api-key",)),
        ({"output": "s3://AKIA:geheim@bucket/a/"}, ("output",)),
    ],
)
def test_an_invalid_argument_is_a_value_error_with_its_name_and_the_next_step(
    options: dict[str, object], fields: tuple[str, ...]
) -> None:
    with pytest.raises(InvalidOptions) as refused:
        batch_of(pd.DataFrame(ROWS), "auto", None, {"prompt": "{text}", **options})
    error = refused.value
    assert isinstance(error, ValueError)
    assert error.fields == fields
    for line, field in zip(str(error).splitlines(), fields, strict=True):
        assert line.startswith(f"complete: {field}: ")
        assert "; " in line
    assert "geheim" not in str(error)
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.fields) == (str(error), fields)
