"""A data frame whose rows several processes send, from a script and from a running event loop."""

import asyncio
import logging
import os
import signal
from multiprocessing.process import BaseProcess

import pandas as pd
import pytest

from pareta_batch import BatchReport, BatchStopped, LedgerError, complete
from pareta_batch.runners.on_this_machine import SPAWN
from pareta_sandbox.testing import Sandbox
from tests.batch.batches import until
from tests.batch.test_completer import ASKED, environment  # noqa: F401

FRAME = pd.DataFrame({"id": range(200), "text": [f"My invoice number {n} is wrong." for n in range(200)]})


def members() -> list[BaseProcess]:
    return [each for each in SPAWN.active_children() if each.name.startswith("member-")]


@pytest.mark.long
@pytest.mark.parametrize("ledger_url", ["postgresql"], indirect=True)
async def test_the_rows_of_a_killed_process_are_sent_by_the_other(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "pareta_batch")
    sandbox.change(latency_ms=100)
    reports: list[BatchReport] = []
    # If it is alone when it is killed it has all slots: they stay withheld for the timeout of its calls.
    asked = {**ASKED, "processes": 2, "timeout_s": 15}
    completing = asyncio.ensure_future(complete(FRAME, **asked, progress=False, on_report=reports.append))
    await until(lambda: sandbox.books().completions >= 10, within_s=120)
    os.kill(members()[0].pid or 0, signal.SIGKILL)
    answers = await completing
    assert answers["answer"].tolist() == ["billing"] * 200
    assert (reports[0].status, reports[0].settled) == ("completed", 200)
    assert str(reports[0]) in caplog.messages
    again = await complete(FRAME, **ASKED, progress=False)
    assert again["answer"].tolist() == ["billing"] * 200
    sandbox.completed(200)
    sandbox.debited_once()


@pytest.mark.long
@pytest.mark.parametrize("ledger_url", ["postgresql"], indirect=True)
async def test_an_empty_balance_stops_all_processes(sandbox: Sandbox) -> None:
    sandbox.set_balance(0)
    with pytest.raises(BatchStopped, match="InsufficientCredits") as stopped:
        await complete(FRAME, **ASKED, processes=2, progress=False)
    assert isinstance(stopped.value.answers, pd.DataFrame)
    assert sandbox.books().statuses[402] <= 16
    assert members() == []


@pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
async def test_sqlite_serves_one_process(sandbox: Sandbox) -> None:
    with pytest.raises(LedgerError, match=r"processes 2: .*SQLite serves one process; set PARETA_LEDGER_URL"):
        await complete(FRAME, **ASKED, processes=2, progress=False)
    assert sandbox.books().completions == 0
