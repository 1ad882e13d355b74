"""A run against the sandbox over real HTTP: what each verdict does to the row, to the batch and to the balance."""

import asyncio
import re
from itertools import pairwise
from pathlib import Path

import pytest

from pareta_batch.engine.policy import RetryPolicy, Timing
from pareta_batch.engine.session import open_session
from pareta_batch.errors import BatchBusy
from pareta_batch.ledger.ledger import Ledger
from pareta_client import AsyncPareta
from pareta_sandbox.pytest_plugin import SandboxFactory
from pareta_sandbox.testing import Drop, EndpointStops, Hang, Html, Latency, RateLimit, Sandbox, Status, TruncatedJson
from tests.batch.batches import batch_in, read_answers, run, until

CHAT = "POST /v1/chat/completions"


async def test_every_row_is_answered_and_paid_for_once(tmp_path: Path, sandbox: Sandbox, ledger: Ledger) -> None:
    report = await run(batch_in(tmp_path, 40, max_in_flight=4, shard_size=7), sandbox, ledger)
    assert report.status == "completed"
    assert (report.total, report.settled, report.not_paid, report.unknown) == (40, 40, 0, 0)
    assert report.billed_micro_usd == sandbox.books().debited_micro_usd
    assert all(row["answer"] and row["attempts"] == 1 for row in read_answers(batch_in(tmp_path, 40)))
    sandbox.completed(40)
    sandbox.debited_once()
    sandbox.never_more_in_flight_than(4)


async def test_a_second_run_sends_nothing(tmp_path: Path, sandbox: Sandbox, ledger: Ledger) -> None:
    batch = batch_in(tmp_path, 10)
    first = await run(batch, sandbox, ledger)
    before = sandbox.books()
    second = await run(batch, sandbox, ledger)
    sandbox.silent_since(before)
    of_this_run = {"wall_s", "limits", "this_run"}
    assert second.model_dump(exclude=of_this_run) == first.model_dump(exclude=of_this_run)


@pytest.mark.parametrize("status", [400, 422])
async def test_a_refused_row_fails_and_the_batch_goes_on(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, status: int
) -> None:
    sandbox.inject(Status(status=status, detail="too long", times=2))
    batch = batch_in(tmp_path, 10)
    report = await run(batch, sandbox, ledger)
    assert (report.settled, report.failed, report.errors) == (8, 2, {"BadRequestError": 2})
    assert report.status == "incomplete"
    errors = [row["error"] for row in read_answers(batch) if row["error"]]
    assert errors == ["BadRequestError: too long"] * 2
    again = await run(batch, sandbox, ledger)
    assert again.failed == 2, "a refused row is not sent again"


@pytest.mark.parametrize(
    ("status", "reason"),
    [(401, "AuthenticationError"), (403, "PermissionDeniedError"), (404, "NotFoundError")],
)
async def test_a_wrong_key_or_endpoint_stops_the_batch(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, status: int, reason: str
) -> None:
    sandbox.inject(Status(status=status, detail="no", skip=5))
    report = await run(batch_in(tmp_path, 200, max_in_flight=4), sandbox, ledger)
    assert (report.stopped, report.status) == (reason, "stopped")
    assert re.fullmatch(r"no \(request req_\w+\)", report.stopped_message or "")
    assert report.settled + report.pending == 200
    assert report.not_paid == report.pending
    assert sandbox.books().completions_seen <= report.settled + 4


async def test_the_row_next_in_line_does_not_take_the_place_of_the_call_that_stops_the_batch(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    sandbox.inject(Latency(ms=120))  # longer than the first calls are apart: nothing but the stop holds the next row
    sandbox.inject(Status(status=402, detail="empty", skip=5))
    report = await run(batch_in(tmp_path, 50, max_in_flight=1), sandbox, ledger)
    assert (report.stopped, report.settled) == ("InsufficientCreditsError", 5)
    assert sandbox.books().completions_seen == 6


async def test_out_of_credit_sends_nothing_new_and_a_resume_pays_exactly_the_rest(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    batch = batch_in(tmp_path, 200, max_in_flight=8)
    sandbox.change(latency_ms=5)
    sandbox.set_balance("0.0005")
    report = await run(batch, sandbox, ledger)
    books = sandbox.books()
    assert report.stopped == "InsufficientCreditsError"
    assert report.settled == books.completions > 0
    assert books.statuses[402] <= 8, "nothing new was sent after the first 402"
    assert (report.unknown, report.pending) == (0, 200 - report.settled)
    assert re.search(rf"{report.pending} pending \(about \$0\.\d{{2,}} more\)", str(report))
    sandbox.top_up(1)
    assert (await run(batch, sandbox, ledger)).status == "completed"
    really = sandbox.books().debited_micro_usd - (report.billed_micro_usd or 0)
    assert report.rest_micro_usd == pytest.approx(really, rel=0.2)
    sandbox.completed(200)
    sandbox.debited_once()


async def test_a_rate_limit_holds_everybody_as_long_as_it_asks(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    sandbox.change(latency_ms=1)
    sandbox.inject(Status(status=429, retry_after_s=0.6, retry_after="fractional", skip=20, times=1))
    report = await run(batch_in(tmp_path, 60, max_in_flight=4), sandbox, ledger)
    assert report.status == "completed"
    at = sorted(debit.at for debit in sandbox.books().debits)
    assert max(later - earlier for earlier, later in pairwise(at)) >= 0.55
    assert sandbox.books().statuses[429] == 1


@pytest.mark.parametrize(
    "limit", [RateLimit(per_s=300, burst=30, retry_after="fractional"), RateLimit(concurrent=5, retry_after="none")]
)
async def test_under_an_untold_limit_no_row_fails_and_few_requests_are_wasted(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, limit: RateLimit
) -> None:
    sandbox.change(latency_ms=30)
    sandbox.inject(limit)
    report = await run(batch_in(tmp_path, 500, max_in_flight=64), sandbox, ledger)
    assert (report.status, report.settled, report.failed) == ("completed", 500, 0)
    assert report.refused == sandbox.books().statuses[429]
    # How few is judged by the clock of a simulation (test_throttle.py): a busy machine refuses more than one burst.
    # Whoever does not press less has each of 64 slots refused again every few milliseconds, thousands in all.
    assert 0 < report.refused < 250
    assert len(report.limits) > 1


async def test_a_stopped_endpoint_is_started_once_and_waited_for_by_all(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    endpoint_id = await deployed(sandbox)
    sandbox.change(latency_ms=2, cold_start_s=0.2)
    sandbox.inject(EndpointStops(after_completions=20, endpoint=endpoint_id))
    report = await run(batch_in(tmp_path, 60, model=endpoint_id, max_in_flight=8), sandbox, ledger)
    assert report.status == "completed"
    books = sandbox.books()
    starts = sum(count for route, count in books.requests.items() if route.endswith("/start"))
    assert starts == 1
    assert books.statuses[503] <= 8
    sandbox.completed(60)


async def test_a_stopped_endpoint_that_may_not_be_started_stops_the_batch_soon(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.stop_endpoint("ep_seed_tickets")  # a seed: its start is refused with 409
    soon = Timing(other_start_s=0.2)
    report = await run(batch_in(tmp_path, 20, model="ep_seed_tickets"), sandbox, ledger, timing=soon)
    assert (report.stopped, report.settled, report.pending) == ("EndpointWaitTimeoutError", 0, 20)
    assert "refuses to start it" in (report.stopped_message or "")
    assert not sandbox.books().debits


async def test_an_endpoint_that_somebody_else_is_starting_is_waited_for(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    endpoint_id = await deployed(sandbox)
    sandbox.change(latency_ms=2, cold_start_s=0.5)
    sandbox.stop_endpoint(endpoint_id)
    sandbox.inject(Status(status=409, route="endpoints", skip=1, times=3))
    running = asyncio.create_task(run(batch_in(tmp_path, 20, model=endpoint_id), sandbox, ledger))
    await until(lambda: 409 in sandbox.books().statuses)
    sandbox.start_endpoint(endpoint_id)
    assert (await running).status == "completed"
    sandbox.completed(20)


async def test_an_endpoint_about_which_nothing_can_be_learned_fails_rows_instead_of_trying_for_ever(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    sandbox.stop_endpoint("ep_seed_tickets")
    sandbox.inject(Status(status=500, route="endpoints", times=None, retry_after_s=0))
    report = await run(
        batch_in(tmp_path, 2, model="ep_seed_tickets"), sandbox, ledger, policy=RetryPolicy(max_transient_failures=2)
    )
    assert (report.status, report.errors) == ("incomplete", {"EndpointNotReadyError": 2})
    assert not sandbox.books().debits


async def deployed(sandbox: Sandbox) -> str:
    """Deploy an endpoint that can be started (a seed cannot)."""
    async with AsyncPareta(api_key=sandbox.api_key, base_url=sandbox.base_url) as pareta:
        endpoint = await pareta.endpoints.deploy(task="support-ticket-routing", model="wren-1", wait=True)
    assert endpoint.id
    return endpoint.id


@pytest.mark.parametrize(
    "fault",
    [
        Status(status=500, times=5),
        Status(status=409, times=5),
        Html(times=5),
        Drop(when="before", times=5),
        Drop(when="after", times=5),
        Drop(when="in_body", how="reset", times=5),
        TruncatedJson(times=5),
    ],
    ids=lambda fault: f"{fault.kind}-{getattr(fault, 'when', '')}",
)
async def test_what_may_pass_is_sent_again_with_the_same_key_and_debited_once(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, fault: Status
) -> None:
    sandbox.inject(fault)
    report = await run(batch_in(tmp_path, 20, max_in_flight=10), sandbox, ledger)
    assert report.status == "completed"
    sandbox.completed(20)
    sandbox.debited_once()
    # A repeated request can meet the next fault, so fewer than five rows may share the five faults.
    assert sum(count - 1 for count in sandbox.books().requests_by_key.values()) == 5


async def test_an_answer_lost_after_its_debit_is_fetched_again_and_its_dollars_are_accounted_for(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    sandbox.inject(Drop(when="after", times=5))
    report = await run(batch_in(tmp_path, 20), sandbox, ledger)
    assert (report.settled, report.resent, report.replayed) == (20, 5, 5)
    debited = sandbox.books().debited_micro_usd
    assert report.billed_micro_usd is not None
    assert report.replayed_at_most_micro_usd is not None
    assert report.billed_micro_usd < debited <= report.billed_micro_usd + report.replayed_at_most_micro_usd
    assert "lost receipts" in str(report)


async def test_a_hanging_call_times_out_and_is_sent_again(tmp_path: Path, sandbox: Sandbox, ledger: Ledger) -> None:
    sandbox.inject(Hang(when="after", times=2))
    report = await run(batch_in(tmp_path, 5, timeout_s=0.3), sandbox, ledger)
    # On a loaded machine an answer that is not held back may be late too.
    assert (report.status, report.replayed >= 2) == ("completed", True)
    sandbox.debited_once()


async def test_a_row_that_keeps_failing_is_reported_and_sent_again_by_the_next_run(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    fault = sandbox.inject(Status(status=500))
    batch = batch_in(tmp_path, 3)
    report = await run(batch, sandbox, ledger, policy=RetryPolicy(max_transient_failures=2))
    assert (report.failed, report.errors, report.unknown) == (3, {"APIStatusError": 3}, 3)
    assert [row["attempts"] for row in read_answers(batch)] == [2, 2, 2]
    sandbox.remove(fault)
    report = await run(batch, sandbox, ledger, policy=RetryPolicy(max_transient_failures=2))
    assert (report.settled, report.failed, report.unknown) == (3, 0, 0)
    assert [row["attempts"] for row in read_answers(batch)] == [3, 3, 3]


async def test_an_answer_cut_at_max_tokens_is_kept_and_flagged_and_not_bought_again(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    batch = batch_in(tmp_path, 4, sampling={"max_tokens": 1})
    report = await run(batch, sandbox, ledger)
    assert (report.settled, report.flagged) == (4, {"cut": 4})
    assert [row["flag"] for row in read_answers(batch)] == ["cut"] * 4
    await run(batch, sandbox, ledger)
    sandbox.completed(4)


async def test_another_process_at_the_same_batch_is_refused(tmp_path: Path, sandbox: Sandbox, ledger: Ledger) -> None:
    batch = batch_in(tmp_path)
    pareta = AsyncPareta(api_key=sandbox.api_key, base_url=sandbox.base_url)
    async with open_session(batch, pareta, ledger):
        with pytest.raises(BatchBusy, match=r"batch 'test' is being worked on by process \d+ on .*: wait until"):
            await run(batch, sandbox, ledger)
    assert (await run(batch, sandbox, ledger)).status == "completed"


async def test_cancelling_lets_calls_in_flight_finish_and_settle(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    sandbox.change(latency_ms=300)
    batch = batch_in(tmp_path, 50, max_in_flight=8)
    running = asyncio.create_task(run(batch, sandbox, ledger))
    await until(lambda: sandbox.books().in_flight == 8)
    # As a worker does: every task of the loop.
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    tally = ledger.tally("test")
    assert (tally.unknown, tally.settled + tally.pending) == (0, 50)
    assert 8 <= tally.settled == sandbox.books().completions < 50


async def test_calls_that_do_not_end_in_time_are_given_up_and_accounted_for(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = batch_in(tmp_path, 50, max_in_flight=8)
    sandbox.inject(Hang(skip=4))
    running = asyncio.create_task(run(batch, sandbox, ledger, timing=Timing(drain_s=0.1)))
    await until(lambda: sandbox.books().in_flight == 8)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    tally = ledger.tally("test")
    assert (tally.settled, tally.unknown, tally.pending) == (4, 8, 46)
    assert (tally.unknown_at_most_micro_usd(10) or 0) > 0
    sandbox.clear_faults()
    assert (await run(batch, sandbox, ledger)).status == "completed"
    sandbox.debited_once()
    sandbox.completed(50)


async def test_the_service_may_choose_the_model(tmp_path: Path, sandbox: Sandbox, ledger: Ledger) -> None:
    assert (await run(batch_in(tmp_path, model="auto"), sandbox, ledger)).status == "completed"


async def test_a_service_without_receipts_leaves_the_cost_unknown(
    tmp_path: Path, sandbox_factory: SandboxFactory, ledger: Ledger
) -> None:
    report = await run(batch_in(tmp_path), sandbox_factory(generation=1), ledger)
    assert (report.status, report.billed_micro_usd) == ("completed", None)
    assert "cost unknown" in str(report)
