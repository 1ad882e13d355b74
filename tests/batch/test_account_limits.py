"""Limiters of one account that report their usage to each other."""

import asyncio
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pareta_batch.rate_limit import AdmissionGate, Allocation, RateLimiter, Usage, allocation_of
from pareta_client import RateLimitBudget, RateLimits
from tests.batch.services import Service, first_of, play_together, shared

RATES = st.floats(0.01, 10_000)
USAGES = st.builds(
    Usage,
    started=st.integers(0, 10**9),
    refused=st.integers(0, 10**9),
    pause_s=st.floats(0, 900),
    account_per_s=st.none() | RATES,
    demand_per_s=st.just(inf) | st.floats(0, 10_000),
)


def at_rest(per_s: float) -> RateLimiter:
    limiter = RateLimiter(64)
    limiter.allocate(Allocation(1.0, per_s), 0.0)
    return limiter


def starts(limiter: RateLimiter, until: float, since: float = 0.0) -> int:
    """Count the calls that a limiter starts in a time, each answered at once."""
    now, count = since, 0
    while (now := now + (limiter.wait(now) or 0.0)) < until:
        limiter.answered(limiter.started(now), now)
        count += 1
    return count


@given(st.lists(USAGES, min_size=1, max_size=20))
def test_the_shares_of_an_account_never_exceed_its_rate(usages: list[Usage]) -> None:
    allocations = [allocation_of(own, [*usages[:n], *usages[n + 1 :]]) for n, own in enumerate(usages)]
    assert len({each.account_per_s is None for each in allocations}) == 1
    assert all(0 < each.part <= 1 for each in allocations)
    in_turns = [each.part * (each.turn.length_s / each.turn.cycle_s if each.turn else 1) for each in allocations]
    assert sum(in_turns) <= 1.1 + 1e-6, "a tenth is for runs that are idle"


@given(st.lists(USAGES, min_size=1, max_size=20))
def test_a_run_that_uses_its_share_gets_at_least_an_equal_part(usages: list[Usage]) -> None:
    own = Usage(1, 0, account_per_s=12.0)
    assert allocation_of(own, usages).part >= 1 / (len(usages) + 1) - 1e-9


def test_what_an_idle_run_leaves_is_for_the_others() -> None:
    busy, idle = Usage(1, 0, account_per_s=12.0), Usage(1, 0, account_per_s=12.0, demand_per_s=2.0)
    assert allocation_of(busy, [idle]).part * 12 == pytest.approx(10)
    assert allocation_of(idle, [busy]).part * 12 == pytest.approx(2)


def test_equal_parts_are_assumed_until_a_rate_is_known() -> None:
    assert allocation_of(Usage(0, 0), [Usage(0, 0)] * 3) == Allocation(0.25, None, 0.0)


def test_a_run_that_joins_begins_at_its_share_without_a_search() -> None:
    limiter = RateLimiter(64)
    limiter.allocate(Allocation(0.25, 40.0), 0.0)
    assert 9 <= starts(limiter, until=1.0) <= 11


def test_a_run_that_leaves_makes_room_for_the_others_at_once() -> None:
    limiter = at_rest(10.0)
    limiter.allocate(Allocation(0.5, 20.0), 0.0)
    reported = limiter.usage(1.0)
    assert reported.account_per_s == pytest.approx(20.0)
    limiter.allocate(allocation_of(reported, []), 1.0)
    assert 19 <= starts(limiter, since=1.0, until=2.0) <= 21


def test_a_pause_of_another_run_holds_every_call_and_is_not_reported_back() -> None:
    limiter = RateLimiter(64)
    limiter.allocate(Allocation(pause_s=30.0), 5.0)
    assert limiter.wait(6.0) == pytest.approx(29.0)
    assert limiter.usage(6.0).pause_s == 0
    limiter.refused(limiter.started(6.0), 6.1, 2.0)
    assert limiter.usage(6.1).pause_s == pytest.approx(2.0)


def test_a_pause_of_another_run_teaches_nothing_about_limits() -> None:
    limiter = at_rest(10.0)
    limiter.allocate(Allocation(1.0, 10.0, pause_s=30.0), 0.0)
    usage = limiter.usage(30.0)
    assert usage.account_per_s == 10.0
    assert usage.demand_per_s == inf, "in the pause nothing could be used"


def test_a_run_with_few_rows_reports_what_it_can_use() -> None:
    limiter = at_rest(100.0)
    limiter.usage(0.0)
    for n in range(10):
        limiter.answered(limiter.started(n / 10), n / 10)
    assert 10 <= limiter.usage(1.0).demand_per_s <= 15


@pytest.mark.parametrize(("requests", "tokens", "per_s"), [(20.0, 60.0, 5.0), (5.0, 60.0, 10.0), (None, 10.0, 60.0)])
def test_a_rate_that_headers_tell_is_that_of_the_account(requests: float | None, tokens: float, per_s: float) -> None:
    limiter = RateLimiter(64)
    call = limiter.started(0.0)
    budget = None if requests is None else RateLimitBudget(100, 0, requests)
    limiter.answered(call, 0.1, RateLimits(budget, RateLimitBudget(60_000, 0, tokens)), tokens=100)
    assert limiter.usage(1.0).account_per_s == pytest.approx(per_s, rel=0.02)


def test_a_rate_above_the_told_one_is_not_reported() -> None:
    limiter = at_rest(90.0)
    limiter.usage(0.0)
    limiter.answered(limiter.started(0.0), 0.1, RateLimits(RateLimitBudget(100, 0, 10.0), None))
    assert limiter.usage(1.0).account_per_s == pytest.approx(10.0, rel=0.02)


@pytest.mark.parametrize(("per_s", "burst"), first_of((50, 10), (12, 12)))
def test_runs_that_report_to_each_other_share_a_limit_that_headers_tell(per_s: int, burst: int) -> None:
    service = Service(0.1, per_s=per_s, burst=burst, tells=True)
    played = play_together(service, [RateLimiter(64) for _ in range(4)], rows=10**6, until_s=90, told_every_s=1.0)
    used, slowest, _ = shared(played, 30, 90)
    assert used >= 0.85 * per_s
    assert slowest >= 0.5


async def test_a_share_takes_effect_on_the_calls_that_wait() -> None:
    gate = AdmissionGate(RateLimiter(1), clock=lambda: 0.0)
    gate.allocate(Allocation(1.0, None, pause_s=30.0))
    waiting = asyncio.create_task(gate.enter())
    await asyncio.sleep(0)
    assert not waiting.done()
    assert gate.usage().started == 0
    gate.close()
    assert await waiting is None


@pytest.mark.parametrize("apart_s", first_of(12, 9, 10, 11, 13, 14))
def test_refusals_of_a_run_that_joins_during_the_search_of_another_are_no_bound_of_the_rate(apart_s: int) -> None:
    # The other run takes every token, close to the limit, and knows no rate that it could report.
    service = Service(0.1, per_s=12, burst=12)
    played = play_together(
        service, [RateLimiter(64) for _ in range(2)], rows=10**6, apart_s=apart_s, until_s=250, told_every_s=1.0
    )
    used, slowest, _ = shared(played, 100, 250)
    assert used >= 0.85 * 12
    assert slowest >= 0.5


@pytest.mark.parametrize("retry_after", first_of("none", "fractional", "seconds"))
@pytest.mark.parametrize(("per_s", "burst"), first_of((50, 10), (200, 20), (12, 12)))
@pytest.mark.parametrize("runs", first_of(4, 2))
@pytest.mark.parametrize("apart_s", [0, 15])
def test_runs_that_report_to_each_other_share_a_limit_that_no_header_tells(
    apart_s: int, runs: int, per_s: int, burst: int, retry_after: str
) -> None:
    service = Service(0.1, per_s=per_s, burst=burst, retry_after=retry_after)  # type: ignore[arg-type]
    limiters = [RateLimiter(64) for _ in range(runs)]
    begin, end = apart_s * runs + 60, 400 if per_s < 50 or retry_after == "seconds" else apart_s * runs + 120
    played = play_together(service, limiters, rows=10**6, apart_s=apart_s, until_s=end, told_every_s=1.0)
    used, slowest, wasted = shared(played, begin, end)
    assert used >= 0.85 * per_s
    assert slowest >= 0.5
    assert wasted < 0.05
