"""An arbitrary exception in any part stops the batch by name, or costs one row; nothing hangs or is paid twice."""

import asyncio
import gc
import inspect
import logging
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pareta_batch.engine import endpoint_recovery as readiness
from pareta_batch.engine import reply_outcome as replies
from pareta_batch.engine import row_worker as row_module
from pareta_batch.engine import session as session_module
from pareta_batch.engine.endpoint_recovery import EndpointRecovery
from pareta_batch.engine.gc_tuning import GC_THRESHOLDS
from pareta_batch.engine.loop_thread import LoopThread
from pareta_batch.engine.policy import Timing
from pareta_batch.engine.session import Session
from pareta_batch.errors import LedgerError, UnexpectedError
from pareta_batch.ledger.group_commit import GroupCommit
from pareta_batch.ledger.ledger import Ledger
from pareta_batch.money.budget import Budget
from pareta_batch.rate_limit.gate import AdmissionGate
from pareta_batch.rate_limit.limiter import RateLimiter
from pareta_batch.report import BatchReport
from pareta_batch.response_format import AnswerCheck
from pareta_client.resources._async.chat import AsyncCompletions
from pareta_sandbox.testing import EndpointStops, Sandbox, Status
from tests.batch.batches import batch_in, read_answers, run, until
from tests.batch.test_session import deployed
from tests.grids import extremes

ROWS = 16
SOON = Timing(last_write_interval_s=0.01)
EXCEPTIONS = [OverflowError("boom"), StopIteration("boom"), SystemExit("boom")]


@pytest.fixture(params=extremes(EXCEPTIONS), ids=lambda error: type(error).__name__)
def error(request: pytest.FixtureRequest) -> BaseException:
    found: BaseException = request.param
    return found


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    no_session_is_left()


def no_session_is_left() -> None:
    names = [thread.name for thread in threading.enumerate()]
    assert not [name for name in names if name.startswith(("group commit of", "session of", "schema check"))]
    assert gc.get_threshold() != GC_THRESHOLDS


def breaks(patch: pytest.MonkeyPatch, owner: Any, name: str, error: BaseException, *, after: int = 5) -> None:
    """Patch a method so that every call after the first `after` calls raises."""
    whole = getattr(owner, name)
    calls = 0

    def broken(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > after:
            raise error
        return whole(*args, **kwargs)

    patch.setattr(owner, name, broken)


async def run_broken(
    folder: Path, sandbox: Sandbox, ledger: Ledger, broken: Callable[[pytest.MonkeyPatch], None], **changes: Any
) -> BatchReport:
    """Run a batch with a broken part, then a whole one: every row is answered and debited once."""
    batch = batch_in(folder, ROWS, **{"max_in_flight": 4, "budget_usd": 1, **changes})
    with pytest.MonkeyPatch.context() as patch:
        broken(patch)
        async with asyncio.timeout(30):
            report = await run(batch, sandbox, ledger, timing=SOON)
    assert report.settled + report.failed + report.pending == ROWS
    async with asyncio.timeout(30):
        whole = await run(batch, sandbox, ledger, timing=SOON)
    assert (whole.settled + report.failed, whole.pending) == (ROWS, 0)
    sandbox.debited_once()
    return report


PARTS: list[tuple[type, str]] = [
    (RateLimiter, "wait"),
    (RateLimiter, "started"),
    (RateLimiter, "answered"),
    (AdmissionGate, "enter"),
    (Budget, "reserve"),
    (Budget, "paid"),
    (GroupCommit, "_next_group"),
    (GroupCommit, "_attempt"),
    (GroupCommit, "claim"),
]


def parts_with_errors() -> Iterator[Any]:
    """Yield each part with each exception; one of each part is fast: an error and an exit in turn."""
    for at, (owner, name) in enumerate(PARTS):
        for error in EXCEPTIONS:
            marks = () if error is EXCEPTIONS[-(at % 2)] else pytest.mark.long
            yield pytest.param(owner, name, error, marks=marks, id=f"{type(error).__name__}-{owner.__name__}-{name}")


@pytest.mark.parametrize(("owner", "name", "error"), list(parts_with_errors()))
async def test_an_exception_in_a_gate_or_thread_stops_the_batch_by_name(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, owner: type, name: str, error: BaseException
) -> None:
    report = await run_broken(tmp_path, sandbox, ledger, lambda patch: breaks(patch, owner, name, error))
    assert (report.status, report.stopped) == ("stopped", "UnexpectedError")
    # A StopIteration that leaves a coroutine is a RuntimeError that names it.
    assert type(error).__name__ in (report.stopped_message or "")


async def test_a_ledger_that_raises_anything_stops_the_batch_by_name(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, error: BaseException
) -> None:
    report = await run_broken(tmp_path, sandbox, ledger, lambda patch: breaks(patch, Ledger, "write", error, after=8))
    assert (report.status, report.stopped) == ("stopped", "UnexpectedError")
    assert f"the ledger's writer: {type(error).__name__}: " in (report.stopped_message or "")


@pytest.mark.parametrize(
    ("owner", "name"), [(EndpointRecovery, "recover"), (readiness, "wait_until_live")], ids=["recover", "wait"]
)
async def test_an_exception_in_the_wait_for_an_endpoint_stops_the_batch_by_name(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, error: BaseException, owner: Any, name: str
) -> None:
    endpoint_id = await deployed(sandbox)
    sandbox.inject(EndpointStops(after_completions=6, endpoint=endpoint_id))
    report = await run_broken(
        tmp_path, sandbox, ledger, lambda patch: breaks(patch, owner, name, error, after=0), model=endpoint_id
    )
    assert report.stopped == "UnexpectedError"


async def test_an_exception_in_what_others_ask_of_the_loop_stops_the_batch_by_name(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, error: BaseException
) -> None:
    def broken(patch: pytest.MonkeyPatch) -> None:
        whole = Session._run

        async def disturbed(session: Session, *given: Any) -> None:
            patch.setattr(session.gate, "apply", lambda **_: (_ for _ in ()).throw(error))
            session.apply(paused=False, max_in_flight=2)
            await whole(session, *given)

        patch.setattr(Session, "_run", disturbed)

    report = await run_broken(tmp_path, sandbox, ledger, broken)
    assert report.stopped == "UnexpectedError"


@pytest.mark.parametrize("error", [SystemExit("boom"), KeyboardInterrupt("boom"), OSError("boom")], ids=repr)
async def test_a_loop_that_is_left_goes_on_and_the_batch_stops_by_name(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, error: BaseException
) -> None:
    def broken(patch: pytest.MonkeyPatch) -> None:
        select = LoopThread.__init__.__globals__["HighResolutionSelector"]
        left = [error]
        whole = select.select

        def selected(self: Any, timeout: float | None = None) -> Any:
            if left and sandbox.books().completions > 5:
                raise left.pop()
            return whole(self, timeout)

        patch.setattr(select, "select", selected)

    report = await run_broken(tmp_path, sandbox, ledger, broken)
    assert (report.stopped, report.settled > 0) == ("UnexpectedError", True)


async def test_a_loop_that_cannot_go_on_fails_everything_that_is_awaited() -> None:
    faults: list[BaseException] = []
    loop = LoopThread("broken", faults.append)
    waiting = asyncio.create_task(loop.run(asyncio.Event().wait()))
    await asyncio.sleep(0)

    def broken(*_: object) -> None:
        raise OSError("no descriptor")

    loop._loop._selector.select = broken  # type: ignore[attr-defined]
    loop.call_soon(lambda: None)
    with pytest.raises(UnexpectedError, match="the event loop of the calls: OSError: no descriptor"):
        async with asyncio.timeout(30):
            await waiting
    with pytest.raises(UnexpectedError):
        await loop.run(asyncio.sleep(0))
    assert len(faults) > 1
    loop.close(asyncio.sleep(0), within_s=1)


async def test_work_that_a_broken_loop_never_began_is_closed() -> None:
    loop, begun, held = LoopThread("broken"), threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        held.wait(30)

    def broken(*_: object) -> None:
        raise OSError("no descriptor")

    loop.call_soon(hold)
    assert await asyncio.to_thread(begun.wait, 30)
    loop._loop._selector.select = broken  # type: ignore[attr-defined]
    work = asyncio.Event().wait()
    waiting = asyncio.create_task(loop.run(work))
    await asyncio.sleep(0)
    held.set()
    with pytest.raises(UnexpectedError):
        async with asyncio.timeout(30):
            await waiting
    assert inspect.getcoroutinestate(work) == inspect.CORO_CLOSED
    loop.close(asyncio.sleep(0), within_s=1)


def faulty(patch: pytest.MonkeyPatch, owner: Any, name: str, error: BaseException, calls: int = 3) -> None:
    """Patch a function so that its first `calls` calls raise."""
    whole = getattr(owner, name)
    left = calls

    def broken(*args: Any, **kwargs: Any) -> Any:
        nonlocal left
        left -= 1
        if left >= 0:
            raise error
        return whole(*args, **kwargs)

    patch.setattr(owner, name, broken)


@pytest.mark.parametrize("error", EXCEPTIONS[:2], ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(
    ("owner", "name"),
    [(row_module, "reply_fields"), (replies, "flag_of"), (replies, "as_json"), (AnswerCheck, "read")],
    ids=lambda each: each if isinstance(each, str) else each.__name__,
)
async def test_what_is_raised_while_an_answer_is_read_or_checked_costs_that_row_only(
    tmp_path: Path,
    sandbox: Sandbox,
    ledger: Ledger,
    caplog: pytest.LogCaptureFixture,
    owner: Any,
    name: str,
    error: BaseException,
) -> None:
    caplog.set_level(logging.CRITICAL, logger="pareta_batch")
    report = await run_broken(tmp_path, sandbox, ledger, lambda patch: faulty(patch, owner, name, error))
    assert (report.status, report.settled, report.failed) == ("incomplete", ROWS - 3, 3)
    assert report.errors == {type(error).__name__: 3}
    assert report.billed_micro_usd == sandbox.books().debited_micro_usd, "with its receipt"
    assert report.unanswered_micro_usd > 0
    errors = [row["error"] for row in read_answers(batch_in(tmp_path, ROWS)) if row["error"]]
    assert all("'content': " in each for each in errors), "with the raw text"


async def test_what_the_client_raises_unexpectedly_costs_that_row_only(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    error = RecursionError("boom")
    report = await run_broken(
        tmp_path, sandbox, ledger, lambda patch: faulty(patch, AsyncCompletions, "create", error), budget_usd=None
    )
    assert (report.settled, report.errors, report.unknown) == (ROWS - 3, {"RecursionError": 3}, 3)


async def test_an_outcome_that_cannot_be_written_costs_that_row_only(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, error: BaseException
) -> None:
    def broken(patch: pytest.MonkeyPatch) -> None:
        whole = Ledger.write

        def write(self: Ledger, batch: str, entries: Any) -> None:
            if any(each.key in ("r3", "r7") and each.state == "settled" for each in entries.outcomes):
                raise error
            whole(self, batch, entries)

        patch.setattr(Ledger, "write", write)

    report = await run_broken(tmp_path, sandbox, ledger, broken)
    assert (report.settled, report.errors) == (ROWS - 2, {"UnexpectedError": 2})
    assert report.billed_micro_usd == sandbox.books().debited_micro_usd
    errors = [row["error"] for row in read_answers(batch_in(tmp_path, ROWS)) if row["error"]]
    assert all(f"{type(error).__name__}: " in each and "the answer was " in each for each in errors)


async def test_a_ledger_error_stops_the_batch_and_what_was_settled_is_in_the_answers_file(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaks(monkeypatch, Ledger, "write", LedgerError("disk is full"), after=6)
    batch = batch_in(tmp_path, ROWS, max_in_flight=4)
    async with asyncio.timeout(30):
        report = await run(batch, sandbox, ledger, timing=SOON)
    assert (report.status, report.stopped) == ("stopped", "LedgerError")
    assert (report.stopped_message or "").startswith("disk is full")
    assert sum(row["answer"] is not None for row in read_answers(batch)) == report.settled < ROWS


async def test_whatever_else_cannot_be_closed_the_writer_writes_and_ends(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: AnswerCheck) -> None:
        raise ValueError("boom")

    monkeypatch.setattr(AnswerCheck, "close", broken)
    with pytest.raises(ValueError, match="boom"):
        await run(batch_in(tmp_path, ROWS), sandbox, ledger, timing=SOON)
    assert not [thread for thread in threading.enumerate() if thread.name == "group commit of test"]
    assert ledger.tally("test").settled == ROWS


async def test_rows_that_wait_for_the_budget_end_when_one_of_them_breaks(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    sandbox.change(latency_ms=50)
    report = await run_broken(
        tmp_path, sandbox, ledger, lambda patch: faulty(patch, Budget, "paid", ValueError("boom"), calls=1)
    )
    assert (report.stopped, report.settled) == ("UnexpectedError", 1)


async def test_an_answer_that_arrives_after_the_stop_is_settled(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    sandbox.change(latency_ms=100)

    def broken(patch: pytest.MonkeyPatch) -> None:
        breaks(patch, RateLimiter, "refused", RuntimeError("boom"), after=0)

    sandbox.inject(Status(status=429, skip=3, times=1))
    report = await run_broken(tmp_path, sandbox, ledger, broken)
    await until(lambda: sandbox.books().in_flight == 0)
    assert (report.stopped, report.unknown) == ("UnexpectedError", 0)
    assert report.settled >= 3


def steps_of_the_start() -> list[str]:
    """Return the names that `open_session` calls before the session is open."""
    source = inspect.getsource(session_module.open_session) + inspect.getsource(session_module.start_session)
    called = dict.fromkeys(re.findall(r"\b(\w+)\(", source))
    return [
        name
        for name in called
        if name in vars(session_module) and name not in ("open_session", "start_session", "_end")
    ]


@pytest.mark.parametrize("step", steps_of_the_start())
async def test_a_failed_start_leaves_no_thread_and_no_lock(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, step: str
) -> None:
    batch = batch_in(tmp_path, ROWS)
    with pytest.MonkeyPatch.context() as patch:
        breaks(patch, session_module, step, OverflowError("boom"), after=0)
        with pytest.raises(OverflowError, match="boom"):
            await run(batch, sandbox, ledger)
        no_session_is_left()
    assert (await run(batch, sandbox, ledger)).settled == ROWS
    sandbox.completed(ROWS)
