"""Blocks of rows to answers: each row is paid once, in any blocks, by any number of processes."""

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pareta_batch import BatchStopped, DatasetError, InvalidOptions, LedgerError, ParetaCompleter, complete_sync
from pareta_batch.ledger.ledger import Ledger
from pareta_batch.ledger.run_tables import account_runs, members
from pareta_batch.ledger.schema import rows as table
from pareta_sandbox.testing import Sandbox, Status
from tests.batch.batches import mostly_on_sqlite, on_both_databases
from tests.grids import first_of

ASKED: Mapping[str, Any] = {
    "name": "blocks",
    "model": "ep_seed_tickets",
    "prompt": "Which team? {text}",
    "id_column": "id",
    "sampling": {"max_tokens": 10},
}


@pytest.fixture(autouse=True)
def environment(sandbox: Sandbox, ledger_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARETA_API_KEY", sandbox.api_key)
    monkeypatch.setenv("PARETA_BASE_URL", sandbox.base_url)
    monkeypatch.setenv("PARETA_LEDGER_URL", ledger_url)


@pytest.fixture
def completer() -> Iterator[ParetaCompleter]:
    with closing(ParetaCompleter(ASKED)) as opened:
        yield opened


def rows(numbers: Sequence[int], text: str = "My invoice number {} is wrong.") -> pa.Table:
    return pa.table({"id": [f"r{n}" for n in numbers], "text": [text.format(n) for n in numbers]})


@on_both_databases
def test_each_row_is_paid_once_whatever_the_blocks(sandbox: Sandbox, completer: ParetaCompleter) -> None:
    for blocks in ([range(40)], [range(7), range(7, 40)], [range(n, n + 9) for n in range(0, 40, 4)]):
        for block in blocks:
            answers = completer(rows(block))
            assert answers["answer"].to_pylist() == ["billing"] * len(block)
            assert answers["id"].to_pylist() == [f"r{n}" for n in block]
    assert sandbox.books().completions == 45
    sandbox.debited_once()


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame, pa.table, dict])
def test_a_block_comes_back_as_the_same_kind(kind: Any, completer: ParetaCompleter) -> None:
    block = kind(rows(range(3)).to_pydict())
    answers = completer(block)
    assert isinstance(answers, pa.Table if kind in (dict, pa.table) else kind)
    assert list(answers["answer"]) == ["billing"] * 3 or answers["answer"].to_pylist() == ["billing"] * 3


def test_the_columns_are_those_of_complete_and_the_same_for_every_block(completer: ParetaCompleter) -> None:
    first, empty = completer(rows(range(2))), completer(rows([1]).slice(1))
    assert empty.schema == first.schema
    whole = complete_sync(rows(range(2)), **{**ASKED, "name": "whole"}, progress=False)
    assert [field for field in first.schema if field.name not in ("message", "notes")] == list(whole.schema)


def test_an_empty_block_needs_no_ledger_and_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PARETA_API_KEY", "PARETA_LEDGER_URL"):
        monkeypatch.setenv(name, "")
    assert ParetaCompleter(ASKED)(rows([1]).slice(1)).column_names[:3] == ["id", "text", "answer"]


def test_equal_requests_share_an_answer_and_sampled_rows_do_not(sandbox: Sandbox) -> None:
    equal = rows(range(4), "Same text.")
    for sampling, asked in (({"max_tokens": 10}, 1), ({"max_tokens": 10, "temperature": 1}, 4)):
        name = f"temperature-{sampling.get('temperature', 0)}"
        before = sandbox.books().completions
        with closing(ParetaCompleter({**ASKED, "name": name, "sampling": sampling})) as completer:
            for block in (equal, equal.slice(0, 1), equal.slice(1)):
                answers = completer(block)
                assert answers["answer"].null_count == 0
                assert len(set(answers["request_id"].to_pylist())) == min(asked, len(block))
        assert sandbox.books().completions - before == asked
    sandbox.debited_once()


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(blocks=st.lists(st.lists(st.integers(0, 30), min_size=1, max_size=12), min_size=1, max_size=6))
@pytest.mark.parametrize("id_column", first_of(["id", None]))
def test_random_blocks_pay_for_each_distinct_request(
    blocks: list[list[int]], id_column: str | None, sandbox: Sandbox
) -> None:
    before, name = (
        sandbox.books().completions,
        f"random-{abs(hash((str(blocks), id_column)))}-{sandbox.books().completions}",
    )
    fields = {**ASKED, "name": name, "id_column": id_column}
    with closing(ParetaCompleter(fields)) as completer:
        for block in blocks:
            assert completer(rows(block))["answer"].to_pylist() == ["billing"] * len(block)
    assert sandbox.books().completions - before == len({number for block in blocks for number in block})
    sandbox.debited_once()


@mostly_on_sqlite
def test_threads_of_one_process_share_its_session(sandbox: Sandbox) -> None:
    sandbox.change(latency_ms=30)
    with closing(ParetaCompleter(ASKED)) as one, ThreadPoolExecutor(4) as threads:
        copies = [pickle.loads(pickle.dumps(one)) for _ in range(4)]
        every = list(threads.map(lambda each: each(rows(range(30))), copies))
    assert [each["answer"].to_pylist() for each in every] == [["billing"] * 30] * 4
    assert sandbox.books().completions == 30
    sandbox.never_more_in_flight_than(16)
    sandbox.debited_once()


@mostly_on_sqlite
def test_an_empty_balance_stops_a_block_and_the_next_call_continues(
    sandbox: Sandbox, completer: ParetaCompleter
) -> None:
    completer(rows(range(5)))
    sandbox.inject(Status(status=402, detail="insufficient balance", times=1))
    with pytest.raises(BatchStopped, match="insufficient balance"):
        completer(rows(range(40)))
    assert completer(rows(range(40)))["answer"].null_count == 0
    assert sandbox.books().completions == 40
    sandbox.debited_once()


def test_a_failed_row_has_its_error_and_only_a_passing_one_is_sent_again(
    sandbox: Sandbox, completer: ParetaCompleter, ledger: Ledger
) -> None:
    sandbox.inject(Status(status=400, detail="too long", times=1))
    for _ in range(2):
        answers = completer(rows([1]))
        assert answers["error"].to_pylist() == ["BadRequestError: too long"]
        assert answers["answer"].to_pylist() == [None]
    assert sandbox.books().completions == 0
    sandbox.inject(Status(status=402, detail="insufficient balance", times=1))
    with pytest.raises(BatchStopped):
        completer(rows([2]))
    with ledger.transaction() as db:
        db.execute(table.update().where(table.c.state == "pending").values(state="failed", retryable=True, error="X"))
    assert completer(rows([2]))["answer"].to_pylist() == ["billing"]


@mostly_on_sqlite
def test_a_budget_is_that_of_all_blocks(sandbox: Sandbox) -> None:
    with closing(ParetaCompleter({**ASKED, "budget_usd": 0.0005})) as completer:
        completer(rows(range(10)))
        with pytest.raises(BatchStopped, match="BudgetReached"):
            completer(rows(range(10, 300)))
        with pytest.raises(BatchStopped, match="BudgetReached"):
            completer(rows(range(300, 310)))
    assert 430 <= sandbox.books().debited_micro_usd <= 500


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"name": ""}, "name: missing"),
        ({"output": "x.csv"}, "output: it does not apply to blocks"),
        ({"dataset": "x.csv", "processes": 2}, "dataset: it does not .*\n.*processes: it does not"),
        ({"approve_above_usd": 1}, "approve_above_usd: it does not apply"),
        ({"reuse": {"max_age": "7d"}}, "reuse.max_age: it does not"),
        ({"promt": "x"}, "promt: .*did you mean prompt"),
        ({"budget_usd": 1, "sampling": {}}, "options: budget_usd needs sampling.max_tokens"),
    ],
)
def test_invalid_fields_are_refused_by_name(changes: dict[str, object], text: str) -> None:
    with pytest.raises(InvalidOptions, match=rf"(?s)^ParetaCompleter: {text}"):
        ParetaCompleter({**ASKED, **changes})


def test_a_name_has_one_question(completer: ParetaCompleter, sandbox: Sandbox) -> None:
    completer(rows([1]))
    for change in ({"prompt": "Whose? {text}"}, {"model": "auto"}, {"sampling": {"max_tokens": 11}}):
        with pytest.raises(InvalidOptions, match="name: batch 'blocks' has another prompt, model or sampling"):
            ParetaCompleter({**ASKED, **change})(rows([1]))
    with closing(ParetaCompleter({**ASKED, "max_in_flight": 2, "budget_usd": 1})) as other:
        completer.close()
        other(rows([1]))
    assert sandbox.books().completions == 1


async def test_a_batch_with_a_dataset_and_one_of_blocks_have_different_names(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, completer: ParetaCompleter
) -> None:
    complete_sync(rows([1]), **{**ASKED, "name": "whole"}, progress=False)
    with pytest.raises(InvalidOptions, match="batch 'whole' is a batch with a dataset; choose another name"):
        ParetaCompleter({**ASKED, "name": "whole"})(rows([1]))
    completer(rows([1]))
    completer.close()
    with pytest.raises(LedgerError, match="'blocks': it has the rows of ParetaCompleter; choose another name"):
        complete_sync(rows([1]), **ASKED, progress=False)
    assert sandbox.books().completions == 2


def test_an_invalid_row_is_named_and_nothing_of_its_block_is_sent(completer: ParetaCompleter, sandbox: Sandbox) -> None:
    with pytest.raises(DatasetError, match="no value for column 'text'"):
        completer(pa.table({"id": ["a", "b"], "text": ["fine", None]}))
    assert sandbox.books().completions == 0


@mostly_on_sqlite
def test_ctrl_c_stops_sending_and_the_next_call_continues(sandbox: Sandbox, completer: ParetaCompleter) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    sandbox.change(latency_ms=20)

    def interrupt() -> None:
        deadline = time.monotonic() + 60
        while sandbox.books().completions < 5 and time.monotonic() < deadline:
            pass
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    try:
        with pytest.raises(KeyboardInterrupt):
            completer(rows(range(500)))
    finally:
        signal.signal(signal.SIGINT, before)
    settled = sandbox.books()
    assert settled.completions < 500
    assert settled.in_flight == 0
    assert completer(rows(range(40)))["answer"].null_count == 0
    sandbox.debited_once()


@mostly_on_sqlite
def test_a_process_that_ends_without_close_leaves_in_order(sandbox: Sandbox, ledger: Ledger) -> None:
    code = f"""
import pyarrow
from pareta_batch import ParetaCompleter
print(ParetaCompleter({dict(ASKED)!r})(pyarrow.table({{"id": ["a"], "text": ["My invoice is wrong."]}}))["answer"])
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert "billing" in run.stdout
    assert "Traceback" not in run.stderr
    with ledger.transaction() as db:
        assert db.scalar(sa.select(sa.func.count()).select_from(account_runs)) == 0
        if not ledger.is_sqlite:
            assert list(db.scalars(sa.select(members.c.ended))) == [True]


def test_a_forked_process_does_not_wait_for_the_sessions_of_its_parent(tmp_path: Path) -> None:
    code = f"""
import multiprocessing, os, pyarrow, warnings
from pareta_batch import ParetaCompleter, completer
warnings.simplefilter("ignore")  # of a fork of a process with threads
completer.LEAVE_TIMEOUT_S = 600
one = ParetaCompleter({dict(ASKED)!r})
block = pyarrow.table({{"id": ["a"], "text": ["My invoice is wrong."]}})
one(block)
def fork():
    os.environ["PARETA_LEDGER_URL"] = "sqlite:///{tmp_path}/of-child.db"
    print(one(block)["answer"])
child = multiprocessing.get_context("fork").Process(target=fork)
child.start()
child.join()
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert "billing" in run.stdout


def test_sqlite_serves_one_process(ledger: Ledger, completer: ParetaCompleter, ledger_url: str) -> None:
    with (
        ledger.lease("blocks"),
        pytest.raises(LedgerError, match="SQLite serves one process; for more, set PARETA_LED"),
    ):
        completer(rows([1]))
