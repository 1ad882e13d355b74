"""Everything at once, documents of every kind, datasets that change: the sandbox's books are the judge."""

import asyncio
import time
from pathlib import Path

import pytest

from pareta_batch.engine.open_sessions import OpenSessions
from pareta_batch.ledger.ledger import Ledger
from pareta_sandbox.testing import Drop, EndpointStops, Fault, Hang, Sandbox, Status
from tests.batch.batches import QUICK, batch_in, mostly_on_sqlite, numbered, read_answers, run, write_rows
from tests.batch.test_session import deployed

pytestmark = mostly_on_sqlite

STORM: tuple[Fault, ...] = (
    Status(status=500, share=0.05),
    Status(status=429, share=0.03, retry_after_s=0.02, retry_after="fractional"),
    Drop(when="after", share=0.01),
    Drop(when="before", how="reset", share=0.01),
    Status(status=400, share=0.02, detail="refused"),
    Hang(when="after", times=2, skip=50),
)


async def test_in_a_storm_every_row_is_answered_and_debited_once_but_those_the_service_refuses(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    for fault in STORM:
        sandbox.inject(fault)
    batch = batch_in(tmp_path, 300, max_in_flight=16, timeout_s=1)
    report = await run(batch, sandbox, ledger, policy=QUICK)
    books = sandbox.books()
    assert books.statuses[500] > 0 < books.statuses[429]
    assert (report.settled, report.pending) == (300 - report.failed, 0)
    assert report.errors == {"BadRequestError": report.failed}
    assert 0 < report.failed == books.statuses[400] < 60
    assert report.replayed > 0, "answers that were lost after their debit"
    # A row may be paid for, its answer lost, and then be refused.
    assert report.settled <= books.completions <= report.settled + report.unknown
    assert report.unknown <= report.failed
    sandbox.debited_once()
    assert report.billed_micro_usd is not None
    assert report.replayed_at_most_micro_usd is not None
    assert report.unknown_at_most_micro_usd is not None
    lost_at_most = report.replayed_at_most_micro_usd + report.unknown_at_most_micro_usd
    assert report.billed_micro_usd < books.debited_micro_usd <= report.billed_micro_usd + lost_at_most


async def test_an_endpoint_that_stops_again_and_again_is_started_each_time_and_the_batch_is_finished(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    endpoint_id = await deployed(sandbox)
    sandbox.change(latency_ms=2, cold_start_s=0.05)
    for number in range(1, 6):
        sandbox.inject(EndpointStops(after_completions=30 * number, endpoint=endpoint_id))
    report = await run(batch_in(tmp_path, 200, model=endpoint_id, max_in_flight=8), sandbox, ledger)
    assert (report.status, report.failed) == ("completed", 0)
    requests = sandbox.books().requests
    assert sum(count for route, count in requests.items() if route.endswith("/start")) == 5
    sandbox.completed(200)
    sandbox.debited_once()


async def test_a_dataset_edited_between_runs_is_paid_for_where_it_changed_and_the_report_says_so(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    batch = batch_in(tmp_path, 20)
    first = await run(batch, sandbox, ledger)
    rows = numbered(22)[2:]  # two rows left, two are new
    rows[0] = {**rows[0], "text": "edited"}
    write_rows(tmp_path / "rows.jsonl", rows)
    report = await run(batch, sandbox, ledger)
    assert (report.total, report.settled, report.changed) == (20, 20, 1)
    sandbox.completed(23)
    sandbox.debited_once()
    assert first.billed_micro_usd is not None
    assert report.billed_micro_usd is not None
    assert report.billed_micro_usd + report.superseded_micro_usd == sandbox.books().debited_micro_usd


async def test_documents_of_every_kind_are_sent_as_they_are_and_come_back_beside_their_answers(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    texts = ["", "ä 🎈 \u2028 \u202e עברית", "{text} {{}} {0}", 'say "hi"\n\ttab\\', "🎈" * 260_000, "\0"]
    batch = batch_in(tmp_path, [{"id": n, "text": text} for n, text in enumerate(texts)])
    report = await run(batch, sandbox, ledger)
    assert (report.status, report.settled) == ("completed", len(texts))
    assert [row["text"] for row in read_answers(batch)] == texts
    sandbox.completed(len(texts))
    sandbox.debited_once()


@pytest.mark.long
async def test_a_few_very_slow_calls_do_not_idle_the_other_slots(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    sandbox.change(latency_ms=5)
    sandbox.inject(Hang(times=3, skip=10))
    batch = batch_in(tmp_path, 300, max_in_flight=8, shard_size=20, timeout_s=10)
    sessions = OpenSessions()
    sessions.own()
    under_way = asyncio.create_task(run(batch, sandbox, ledger))
    deadline = time.monotonic() + 30
    while (answered := await asyncio.to_thread(lambda: sandbox.books().completions)) < 297:
        assert time.monotonic() < deadline, f"only {answered} rows are answered while three hang"
        await asyncio.sleep(0.01)
    assert not under_way.done()
    sandbox.clear_faults()
    sessions.stop_all("Enough", "the test has seen what it came for")
    await under_way
