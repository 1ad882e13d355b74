"""Limits that the service tells in headers: nothing has to be found out by refusals."""

import asyncio
import random
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pareta_batch.engine.planning import register_rows
from pareta_batch.engine.session import open_session
from pareta_batch.ledger.ledger import Ledger
from pareta_batch.rate_limit.limiter import RateLimiter
from pareta_batch.rate_limit.told import MAX_WAIT_S, ToldLimits
from pareta_batch.run import complete_shards
from pareta_client import AsyncPareta, RateLimitBudget, RateLimits
from pareta_sandbox.testing import RateLimit, Sandbox
from tests.batch.batches import batch_in, run, until
from tests.batch.services import Service, first_of, play, play_together

COUNTS = st.integers(0, 10**12)
BUDGETS = st.none() | st.builds(RateLimitBudget, st.integers(1, 10**12), COUNTS, st.floats(0, 2_678_400))


@pytest.mark.parametrize("retry_after", first_of("none", "fractional", "seconds"))
@pytest.mark.parametrize(
    ("per_s", "burst", "latency_s"),
    first_of((50, 5, 0.1), (200, 20, 0.1), (200, 200, 0.1), (5, 1, 0.1), (5, 300, 0.1), (10, 100, 5.0)),
)
def test_a_told_rate_is_used_with_hardly_a_refusal(per_s: int, burst: int, latency_s: float, retry_after: str) -> None:
    service = Service(latency_s, per_s=per_s, burst=burst, tells=True, retry_after=retry_after)  # type: ignore[arg-type]
    played = play(service, RateLimiter(64), rows=per_s * 100)
    assert played.wasted < 0.005
    assert played.per_s(after_s=10) >= 0.95 * per_s


@pytest.mark.parametrize("latency_s", first_of(0.1, 3.0))
def test_a_told_number_of_tokens_per_minute_is_used_with_hardly_a_refusal(latency_s: float) -> None:
    # 100 tokens a call: 10 calls per second, after the minute that is saved up.
    service = Service(latency_s, tokens_per_s=1_000, tells=True)
    played = play(service, RateLimiter(64), rows=2_500)
    assert played.refused <= 3
    assert played.per_s(after_s=100) >= 0.95 * 10


def test_the_tighter_of_two_told_limits_holds() -> None:
    service = Service(0.1, per_s=50, burst=50, tokens_per_s=1_000, tells=True)
    played = play(service, RateLimiter(64), rows=2_500)
    assert played.refused <= 5
    assert played.per_s(after_s=100) >= 0.95 * 10


def test_a_fixed_window_is_used_up_and_then_waited_for() -> None:
    limiter, now, sent = RateLimiter(64), 0.0, list[float]()
    draws = random.Random(0)
    while now < 170:
        now += limiter.wait(now) or 0.0
        window = int(now // 60)
        used = sum(at // 60 == window for at in sent) + 1
        call = limiter.started(now)
        sent.append(now)
        now += draws.uniform(0.5, 1.0)
        limiter.answered(
            call, now, told=RateLimits(RateLimitBudget(40, max(40 - used, 0), 60 * (window + 1) - call.at))
        )
    for window in range(2):
        assert 38 <= sum(at // 60 == window for at in sent) <= 41


@given(st.lists(st.tuples(BUDGETS, BUDGETS, st.none() | COUNTS), max_size=20))
def test_no_told_value_holds_calls_for_longer_than_a_minute(
    told: list[tuple[RateLimitBudget | None, RateLimitBudget | None, int | None]],
) -> None:
    limits, now = ToldLimits(), 0.0
    for requests, tokens, used in told:
        sent, number = now, limits.started(now)
        now += 0.1
        limits.answered(sent, number, now, RateLimits(requests, tokens), used)
        assert now <= limits.next_at(now) <= sent + MAX_WAIT_S + 0.1
        now = limits.next_at(now)


def test_a_late_reply_does_not_replace_a_newer_one() -> None:
    limits = ToldLimits()
    first, second = limits.started(0.0), limits.started(1.0)
    limits.answered(1.0, second, 1.1, RateLimits(RateLimitBudget(10, 0, 10.0)), None)
    limits.answered(0.0, first, 1.2, RateLimits(RateLimitBudget(10, 9, 1.0)), None)
    assert limits.next_at(1.2) > 1.5


def test_wrong_headers_do_not_permit_what_refusals_forbid() -> None:
    limiter = RateLimiter(64)
    full = RateLimits(RateLimitBudget(1_000, 1_000, 0.0))
    limiter.refused(limiter.started(0.0), 0.1, 7.0, told=full)
    assert limiter.wait(0.1) == pytest.approx(7.0)


@pytest.mark.parametrize("runs", first_of(2, 4))
def test_runs_that_start_together_share_a_told_limit(runs: int) -> None:
    service = Service(0.1, per_s=50, burst=50, tells=True, retry_after="seconds")
    limiters = [RateLimiter(64) for _ in range(runs)]
    begin, end = 60, 300
    played = play_together(service, limiters, rows=30_000, until_s=end)
    per_s = [sum(at > begin for at in each.answers) / (end - begin) for each in played]
    assert sum(per_s) >= 0.85 * 50
    assert min(per_s) >= 0.5 * sum(per_s) / runs
    assert sum(each.refused for each in played) < 0.05 * sum(len(each.answers) for each in played)


async def test_a_limit_that_the_sandbox_tells_is_kept_over_http(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    sandbox.change(latency_ms=10)
    limit = sandbox.inject(RateLimit(per_s=50, burst=10, tokens_per_min=600_000, told=True))
    report = await run(batch_in(tmp_path, 60, max_in_flight=8), sandbox, ledger)
    assert report.settled == 60
    assert sandbox.hits(limit) <= 3


async def test_tokens_per_minute_that_the_sandbox_tells_hold_the_calls(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    # The minute's tokens last for a few rows; after them a row waits for its tokens.
    limit = sandbox.inject(RateLimit(tokens_per_min=300, told=True))
    batch = batch_in(tmp_path, 60, max_in_flight=1)
    plan = register_rows(batch, ledger)
    client = AsyncPareta(api_key=sandbox.api_key, base_url=sandbox.base_url)
    async with open_session(batch, client, ledger) as session:
        work = asyncio.create_task(complete_shards(session, plan.missing))
        await until(lambda: (session.gate.limiter.wait(time.monotonic()) or 0) > 0.2, within_s=30)
        session.stop_because("Enough", "the test has seen what it came for")
        await work
    assert 0 < sandbox.books().completions < 60
    assert sandbox.hits(limit) == 0


def test_a_limit_of_tokens_tells_no_rate_before_the_first_answer() -> None:
    told = ToldLimits()
    number = told.started(1.0)
    tokens = RateLimits(None, RateLimitBudget(60_000, 0, 60.0))
    told.answered(1.0, number, 1.1, tokens, tokens=None)
    assert told.calls_per_s is None
    told.answered(1.0, number, 1.2, None, tokens=100)
    assert told.calls_per_s == pytest.approx(9.9)


@pytest.mark.parametrize(("per_s", "burst"), [(50, 1), (50, 3), (12, 1)])
def test_a_small_told_bucket_is_used_in_full_while_calls_are_in_flight(per_s: int, burst: int) -> None:
    # A reply is older than the time in which the bucket refills.
    service = Service(0.1, per_s=per_s, burst=burst, retry_after="fractional", tells=True)
    played = play(service, RateLimiter(64), rows=per_s * 60)
    assert played.per_s(after_s=10) >= 0.9 * per_s
    assert played.wasted < 0.03
