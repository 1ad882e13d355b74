"""Waits that the service asks for are bounded and told; an address where nothing answers stops the batch soon."""

import asyncio
import logging
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pareta_batch.engine.open_sessions import OpenSessions
from pareta_batch.engine.policy import RetryPolicy
from pareta_batch.engine.progress import Progress
from pareta_batch.engine.reachability import MIN_FAILED_CONNECTIONS, UNREACHABLE_S, Reachability
from pareta_batch.ledger.ledger import Ledger
from pareta_batch.rate_limit.gate import AdmissionGate
from pareta_batch.rate_limit.limiter import RateLimiter
from pareta_batch.run import run_batch
from pareta_client import APIConnectionError, APIStatusError, APITimeoutError, AsyncPareta
from pareta_sandbox.testing import Sandbox, Status
from tests.batch.batches import QUICK, batch_in, run, until
from tests.client.servers import serving
from tests.ports import closed_port

REFUSED = APIConnectionError("refused", never_sent=True, unreachable=True)
BROKEN = APIConnectionError("reset")
NO_PLACE = APIConnectionError("no free connection", never_sent=True)
SLOW = APITimeoutError("no answer within 180 s")


@pytest.fixture(
    params=["refused", "unknown host", *(pytest.param(each, marks=pytest.mark.long) for each in ("no HTTP", "no TLS"))]
)
def nowhere(request: pytest.FixtureRequest) -> Iterator[str]:
    """An address where no service answers."""
    match request.param:
        case "refused":
            with closed_port() as port:
                yield f"http://127.0.0.1:{port}"
        case "unknown host":
            yield "https://nowhere.invalid"
        case "no HTTP":
            with serving(lambda talk: talk.send(b"SSH-2.0-OpenSSH_9.6\r\n")) as served:
                yield served.url
        case _:
            with serving(lambda talk: talk.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as served:
                yield served.url.replace("http://", "https://")


async def test_an_address_where_nothing_answers_stops_the_batch_and_names_it(
    tmp_path: Path, ledger: Ledger, nowhere: str
) -> None:
    batch = batch_in(tmp_path, 100)
    async with asyncio.timeout(30):
        report = await run_batch(batch, AsyncPareta(api_key="pareta_sk_x", base_url=nowhere), ledger)
    assert (report.stopped, report.settled, report.failed) == ("ServiceUnreachable", 0, 0)
    assert f"nothing answers at {nowhere}: " in (report.stopped_message or "")


def test_a_service_that_answered_once_may_be_away() -> None:
    contact = Reachability()
    contact.tried(0)
    contact.answered()
    assert not any(contact.is_lost(REFUSED, now) for now in range(100))


def test_a_service_that_answered_with_an_error_is_there() -> None:
    contact = Reachability()
    contact.tried(0)
    assert not contact.is_lost(APIStatusError("no", status_code=500), 0)
    assert not any(contact.is_lost(REFUSED, now) for now in range(100))


@pytest.mark.parametrize("error", [REFUSED, BROKEN])
def test_nothing_is_concluded_from_one_failure_nor_at_once(error: APIConnectionError) -> None:
    contact = Reachability()
    contact.tried(0)
    assert not any(contact.is_lost(error, 0.1) for _ in range(MIN_FAILED_CONNECTIONS + 20))
    assert contact.is_lost(error, UNREACHABLE_S)
    late = Reachability()
    late.tried(0)
    assert not late.is_lost(error, 100)


@pytest.mark.parametrize("error", [NO_PLACE, SLOW])
def test_a_slow_service_is_not_taken_for_none(error: APIConnectionError) -> None:
    contact = Reachability()
    contact.tried(0)
    assert not any(contact.is_lost(error, now) for now in range(1000))


@pytest.mark.parametrize("status", [500, 409, 503, 504])
async def test_a_wait_beyond_the_bound_fails_its_row_and_the_others_go_on(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, status: int
) -> None:
    sandbox.inject(Status(status=status, retry_after_s=3600, times=2))
    async with asyncio.timeout(30):
        report = await run(batch_in(tmp_path, 10, model="auto"), sandbox, ledger)
    assert (report.settled, report.failed, report.stopped) == (8, 2, None)
    errors = [each.error_message for each in ledger.outcomes_of("test", [f"r{n}" for n in range(10)]).values()]
    assert sum("it asked to wait 1 h" in (each or "") for each in errors) == 2
    assert (await run(batch_in(tmp_path, 10, model="auto"), sandbox, ledger)).settled == 10


@pytest.mark.parametrize("status", [429, 500, 503])
@pytest.mark.parametrize("model", ["auto", "ep_seed_tickets"])
async def test_a_service_that_puts_every_row_off_stops_the_batch_with_its_reason(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, status: int, model: str
) -> None:
    if (status, model) == (503, "ep_seed_tickets"):
        pytest.skip("an endpoint that is not ready is waited for by its state")
    sandbox.inject(Status(status=status, detail="maintenance", retry_after_s=3600))
    async with asyncio.timeout(30):
        report = await run(batch_in(tmp_path, 50, model=model), sandbox, ledger)
    assert report.stopped in ("RateLimitError", "APIStatusError", "EndpointNotReadyError")
    assert "maintenance" in (report.stopped_message or "")
    assert sandbox.books().completions_seen < 50


async def test_waits_of_one_row_add_up_to_the_bound(tmp_path: Path, sandbox: Sandbox, ledger: Ledger) -> None:
    sandbox.inject(Status(status=500, retry_after_s=0.1, retry_after="fractional"))
    report = await run(batch_in(tmp_path, 1), sandbox, ledger, policy=RetryPolicy(max_pause_s=0.25))
    assert report.pending + report.failed == 1
    assert sandbox.books().statuses[500] <= 3


async def test_an_endpoint_that_is_live_and_refuses_all_the_same_fails_its_rows(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    sandbox.inject(Status(status=503, retry_after_s=1))
    async with asyncio.timeout(30):
        report = await run(batch_in(tmp_path, 2), sandbox, ledger, policy=QUICK)
    assert report.errors == {"EndpointNotReadyError": 2}


async def test_a_long_wait_is_told_in_the_log_and_in_the_progress(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.inject(Status(status=429, detail="slow down", retry_after_s=300))
    sessions = OpenSessions()
    sessions.own()
    with caplog.at_level(logging.WARNING, "pareta_batch"):
        running = asyncio.create_task(run(batch_in(tmp_path, 5), sandbox, ledger))
        await until(lambda: "waits" in caplog.text)
        sessions.stop_all("Interrupted", "enough")
        await running
    assert "waits 5 m, as the service asks: RateLimitError: slow down" in caplog.text


def test_a_wait_is_told_once_and_shown_until_it_is_over() -> None:
    progress = Progress("test", 10, 10, lambda: 0)
    progress.report_wait(time.monotonic() + 100, APIStatusError("maintenance", status_code=500))
    assert "waits 1 m 40 s (APIStatusError: maintenance)" in str(progress.snapshot())
    progress.report_wait(time.monotonic() + 101, APIStatusError("other", status_code=500))
    assert "maintenance" in str(progress.snapshot())
    progress._wait_ends = time.monotonic()
    assert progress.snapshot().waits is None


async def test_a_pause_is_no_time_without_an_answer() -> None:
    now = [0.0]
    gate = AdmissionGate(RateLimiter(2), clock=lambda: now[0])
    call = await gate.enter()
    assert call is not None
    gate.answered(call)
    gate.settled()
    gate.apply(paused=True, max_in_flight=2)
    now[0] = 5000.0
    gate.apply(paused=False, max_in_flight=2)
    assert gate.limiter.starving_s(5001.0) == 1
