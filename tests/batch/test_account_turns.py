"""Limiters of one account whose calls collide take turns on a common clock."""

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pareta_batch.rate_limit import AdmissionGate, Allocation, RateLimiter, Usage, allocation_of
from pareta_batch.rate_limit.account import Turn
from tests.batch.services import Service, first_of, play_together, shared
from tests.batch.test_account_limits import USAGES, at_rest, starts

COLLIDES = Usage(100, 10, account_per_s=20.0)
TIMES = st.floats(0, 1_000)
TURNS = st.builds(
    lambda at, length_s, part: Turn(at, length_s, length_s / part), TIMES, TIMES, st.floats(0.01, 1)
).filter(lambda turn: turn.length_s > 0.01)


def in_turn(turn: Turn, now: float) -> bool:
    return turn.since_s(now) < turn.length_s


def with_refusals(limiter: RateLimiter, now: float, *, calls: int, every: int) -> float:
    """Send calls from `now` on, of which the first and then one in `every` is refused; return the time of the last."""
    for n in range(calls):
        now += limiter.wait(now) or 0.0
        call = limiter.started(now)
        if n % every:
            limiter.answered(call, now)
        else:
            limiter.refused(call, now, None)
    return now


def at_twenty_per_s(turn: Turn) -> RateLimiter:
    """Return a limiter of an account with 20 calls/s whose turns are known."""
    limiter = RateLimiter(64)
    limiter.allocate(Allocation(1.0, 20.0, turn=turn), 0.0)
    return limiter


@given(st.lists(USAGES, min_size=2, max_size=8), st.lists(TIMES, min_size=8, max_size=8), TIMES)
def test_exactly_one_run_has_its_turn_at_any_time(usages: list[Usage], clocks: list[float], now: float) -> None:
    usages = [replace(each, run=f"{n}", refused=1, demand_per_s=float("inf")) for n, each in enumerate(usages)]
    turns = [allocation_of(own, [*usages[:n], *usages[n + 1 :]], clocks[n]).turn for n, own in enumerate(usages)]
    # Each limiter reads its own clock, which is behind the common one.
    having = [
        turn is not None and in_turn(turn, now + 2_000 - clock) for turn, clock in zip(turns, clocks, strict=False)
    ]
    at_a_boundary = any(
        turn is not None
        and min(turn.since_s(now + 2_000 - clock), turn.cycle_s - turn.since_s(now + 2_000 - clock)) < 1e-6
        for turn, clock in zip(turns, clocks, strict=False)
    )
    assert sum(having) == 1 or at_a_boundary


@given(TURNS, TIMES, TIMES)
def test_the_time_of_turns_is_measured_exactly(turn: Turn, first: float, seconds: float) -> None:
    cycles = int(seconds / turn.cycle_s)
    assert turn.within_s(first, first + cycles * turn.cycle_s) == pytest.approx(cycles * turn.length_s, abs=1e-3)
    assert -1e-6 <= turn.within_s(first, first + seconds) <= seconds + 1e-6


@given(st.floats(0, 1e6))
def test_the_turns_of_a_run_are_in_the_ratio_of_its_demand(at: float) -> None:
    busy, idle = replace(COLLIDES, run="1"), replace(COLLIDES, run="2", demand_per_s=5.0)
    turn = allocation_of(idle, [busy], at).turn
    assert turn is not None
    assert turn.length_s / turn.cycle_s == pytest.approx(0.25)


@pytest.mark.parametrize(
    "usages",
    [
        [COLLIDES],
        [replace(COLLIDES, refused=0)] * 2,
        # Bounded by calls in flight: together they need less than half of the account's rate.
        [replace(COLLIDES, demand_per_s=4.9)] * 2,
    ],
)
def test_no_turns_are_taken_without_need(usages: list[Usage]) -> None:
    assert allocation_of(usages[0], usages[1:]).turn is None


def test_a_turn_has_the_whole_rate_and_no_call_starts_outside() -> None:
    limiter = at_twenty_per_s(Turn(10.0, 2.0, 8.0))
    begun = [starts(limiter, since=float(second), until=second + 1.0) for second in range(10, 26)]
    assert min(begun[1], begun[9]) >= 19
    assert begun[2:8] == begun[10:16] == [0] * 6


def test_a_turn_begins_one_call_interval_after_that_of_another_run() -> None:
    limiter = at_twenty_per_s(Turn(10.0, 2.0, 8.0))
    assert 0.05 <= limiter.wait(10.0) <= 0.06  # type: ignore[operator]  # a number in a turn


def test_a_run_with_a_known_rate_takes_no_turns_before_its_calls_collide() -> None:
    limiter = at_rest(20.0)
    limiter.usage(0.0)
    limiter.allocate(Allocation(0.5, 20.0), 1.0)
    assert limiter.usage(1.0).refused == 0
    now = with_refusals(limiter, 1.0, calls=200, every=4)
    assert limiter.usage(now).refused == 50


def test_a_rate_that_is_learned_beside_others_is_not_reported() -> None:
    limiter = RateLimiter(64)
    limiter.allocate(Allocation(0.5, None), 0.0)
    now = 0.0
    for _ in range(2_000):
        now += limiter.wait(now) or 0.0
        call = limiter.started(now)
        # A service that allows one call in each interval of half a second.
        limiter.refused(call, now + 0.001, 0.5) if call.number % 2 else limiter.answered(call, now + 0.001)
        if limiter._rate.resting:
            break
    usage = limiter.usage(now)
    assert limiter._rate.resting
    assert usage.account_per_s is None
    assert usage.refused > 0


def parts_of_the_time(per_s: float, runs: int) -> tuple[float, float]:
    """Return the parts of the time that a run beside busy ones has: after 400 idle seconds, and after 400 busy ones."""
    limiter, parts = RateLimiter(64), []
    busy = [Usage(0, 1, account_per_s=per_s, run=f"{n}") for n in range(1, runs)]
    for now in range(800):
        own = replace(limiter.usage(now), account_per_s=per_s, run="0")
        turn = allocation_of(own, busy, 0.3).turn
        assert turn is not None
        parts.append(turn.length_s / turn.cycle_s)
        # The allocation arrives later than the report, as through a ledger.
        limiter.allocate(Allocation(1.0, per_s, turn=turn), now + 0.02)
        if now >= 400:
            starts(limiter, since=now + 0.02, until=now + 1.0)
    return parts[399], parts[-1]


@pytest.mark.parametrize("per_s", [1, 2, 5, 7.5, 8, 10, 12, 15, 19, 30, 100])
@pytest.mark.parametrize("runs", [2, 3, 8])
def test_an_idle_run_leaves_its_turns_and_regains_them(runs: int, per_s: float) -> None:
    idle, busy = parts_of_the_time(per_s, runs)
    assert idle <= 0.45 / runs
    assert busy >= 0.9 / runs


def test_a_run_without_rows_leaves_its_part_of_the_rate() -> None:
    limiter = at_rest(20.0)
    for now in range(1, 4):
        usage = limiter.usage(float(now))
        # The allocation arrives later than the report: that is not a pause.
        limiter.allocate(Allocation(0.5, 20.0), now + 0.02)
    assert usage.demand_per_s == 0


async def test_a_gate_that_waits_for_its_turn_closes_at_once() -> None:
    gate = AdmissionGate(RateLimiter(1), clock=lambda: 100.0)
    gate.allocate(Allocation(1.0, 20.0, turn=Turn(0.0, 1.0, 1_000.0)))
    waiting = asyncio.create_task(gate.enter())
    await asyncio.sleep(0)
    assert not waiting.done()
    gate.close()
    assert await waiting is None


CASES = [
    *[(12, 1, how, tells) for how in ("seconds", "none", "fractional") for tells in (False, True)],
    *[(12, burst, how, False) for burst in (2, 3, 5) for how in ("none", "fractional", "seconds")],
    *[(per_s, 1, how, False) for per_s in (50, 100) for how in ("none", "seconds")],
]


@pytest.mark.parametrize(("per_s", "burst", "retry_after", "tells"), first_of(*CASES))
@pytest.mark.parametrize("runs", first_of(4, 2))
@pytest.mark.parametrize("apart_s", [0, 15])
def test_runs_that_report_to_each_other_share_a_bucket_of_few_tokens(
    apart_s: int, runs: int, per_s: int, burst: int, retry_after: str, tells: bool
) -> None:
    service = Service(0.1, per_s=per_s, burst=burst, retry_after=retry_after, tells=tells)  # type: ignore[arg-type]
    limiters = [RateLimiter(64) for _ in range(runs)]
    begin, end = apart_s * runs + 60, 400
    played = play_together(service, limiters, rows=10**6, apart_s=apart_s, until_s=end, told_every_s=1.0)
    used, slowest, wasted = shared(played, begin, end)
    assert used >= 0.85 * per_s
    assert slowest >= 0.5
    assert wasted < 0.05


# Seeds at which an earlier version searched for half a minute, or learned a rate four times too high or eight times too
# low. Without spread, all calls take as long, and one call at once explains the refusals nearly as well as the rate.
@pytest.mark.parametrize(
    ("retry_after", "spread", "apart_s", "seed"),
    first_of(
        ("seconds", 0.3, 0, 3),
        ("none", 0.0, 15, 2),
        *[("seconds", spread, 0, seed) for spread in (0.0, 0.3) for seed in (0, 1, 2, 4, 5)],
        *[("none", 0.0, apart_s, seed) for apart_s in (0, 15) for seed in (0, 1, 3, 4)],
    ),
)
def test_four_runs_find_the_rate_before_long(retry_after: str, spread: float, apart_s: int, seed: int) -> None:
    service = Service(0.1, per_s=12, spread=spread, late_s=0.0005, network_s=0.001)
    service = replace(service, retry_after=retry_after)  # type: ignore[arg-type]
    limiters, begin, end = [RateLimiter(64) for _ in range(4)], 60 + 4 * apart_s, 600
    played = play_together(service, limiters, rows=10**6, apart_s=apart_s, until_s=end, told_every_s=1.0, seed=seed)
    used, slowest, wasted = shared(played, begin, end)
    assert used >= 0.85 * 12
    assert slowest >= 0.5
    assert wasted < 0.05


def beginning_turns(limiter: RateLimiter) -> RateLimiter:
    """Begin turns beside three runs, while the rate of the account is unknown."""
    limiter.answered(limiter.started(0.0), 0.1)
    limiter.allocate(Allocation(0.25), 1.0)
    limiter.allocate(Allocation(turn=Turn(0.0, 1.0, 4.0)), 2.0)
    return limiter


def test_a_rate_that_was_measured_alone_is_not_multiplied_when_turns_begin() -> None:
    limiter = beginning_turns(at_rest(20.0))
    assert limiter._rate.per_s == 40.0, "twice the measured rate, although its part was a quarter"


def test_a_rate_that_the_search_lowered_too_far_is_raised_when_turns_begin() -> None:
    limiter = RateLimiter(64)
    limiter._rate.per_s = 1.5
    assert beginning_turns(limiter)._rate.per_s == 16.0


def test_a_limit_of_calls_at_once_ends_when_turns_begin() -> None:
    limiter = RateLimiter(64)
    limiter._concurrency._start_trial(1)
    assert beginning_turns(limiter).limit == 64


def test_a_limit_of_calls_at_once_ends_in_turns_if_another_run_knows_the_rate() -> None:
    limiter, turn = RateLimiter(64), Turn(0.0, 1.0, 4.0)
    limiter.answered(limiter.started(0.0), 0.1)
    limiter.allocate(Allocation(turn=turn), 1.0)
    limiter._concurrency._start_trial(1)
    limiter.allocate(Allocation(turn=turn), 2.0)
    assert limiter.limit == 1
    limiter.allocate(Allocation(account_per_s=12.0, turn=turn), 3.0)
    assert limiter.limit == 64
    assert starts(limiter, since=4.0, until=5.0) >= 11


# With these seeds a run mistook the refusals of others' calls for a limit of one call at once.
@pytest.mark.parametrize(("latency_s", "most", "apart_s", "seed"), first_of((0.1, 64, 15, 1), (1.0, 256, 0, 4)))
def test_no_run_starves_at_a_limit_that_it_learned_from_collisions(
    latency_s: float, most: int, apart_s: int, seed: int
) -> None:
    service = Service(latency_s, per_s=50, burst=10, retry_after="seconds" if apart_s == 0 else "fractional")
    limiters = [RateLimiter(most) for _ in range(4)]
    played = play_together(service, limiters, rows=10**6, apart_s=apart_s, until_s=300, told_every_s=1.0, seed=seed)
    answers = [sum(at > 120 for at in each.answers) for each in played]
    assert min(answers) >= 0.5 * sum(answers) / 4


def test_a_rate_that_collisions_lowered_is_not_adopted_when_turns_begin() -> None:
    limiter, turn = at_rest(20.0), Turn(0.0, 2.0, 4.0)
    limiter.allocate(Allocation(0.5, 10.0), 1.0)
    limiter.answered(limiter.started(1.0), 1.1)
    for now in (2.0, 3.0, 4.0):  # the reports of the others may be older than the turns
        limiter.allocate(Allocation(1.0, 10.0, turn=turn), now)
        assert limiter._rate.per_s > 10.0
        assert limiter.usage(now).account_per_s is None
    limiter.allocate(Allocation(1.0, 45.0, turn=turn), 5.0)
    assert limiter._rate.per_s == 45.0


# With these seeds the second run began at a known rate, and collisions lowered it to a half or a quarter before turns.
@pytest.mark.parametrize("seed", first_of(102, 106))
def test_turns_find_the_rate_that_collisions_lowered(seed: int) -> None:
    service, limiters = Service(0.1, per_s=50, retry_after="seconds"), [RateLimiter(64) for _ in range(2)]
    played = play_together(service, limiters, rows=10**6, apart_s=15, until_s=220, told_every_s=1.0, seed=seed)
    assert sum(at > 90 for each in played for at in each.answers) >= 0.8 * 50 * 130


@pytest.mark.parametrize(("pause_s", "collides"), [(1.0, True), (0.02, False)])
def test_collisions_count_more_if_their_pauses_are_long(pause_s: float, collides: bool) -> None:
    limiter, now = at_rest(100.0), 0.0
    limiter.allocate(Allocation(0.5, 100.0), now)
    for _ in range(12):  # one refusal in 100 calls
        limiter.refused(limiter.started(now), now, pause_s)
        now += pause_s
        for _ in range(99):
            now += 0.01
            limiter.answered(limiter.started(now), now)
    assert (limiter.usage(now).refused > 0) is collides


@pytest.mark.parametrize(
    ("call_s", "retry_after", "collides"), [(0.1, 1.0, True), (0.1, None, True), (2.0, 1.0, False), (20.0, None, False)]
)
def test_a_refusal_after_a_pause_is_a_collision_if_no_call_takes_that_long(
    call_s: float, retry_after: float | None, collides: bool
) -> None:
    limiter, now = RateLimiter(64), 0.0
    limiter.allocate(Allocation(0.25), now)
    limiter.answered(limiter.started(now), now + call_s)
    for _ in range(12):
        now += 10.0
        limiter.refused(limiter.started(now), now, retry_after)
    assert (limiter.usage(now).refused > 0) is collides


@pytest.mark.parametrize("ends_at_s", first_of(100, 103, 107))
def test_the_runs_that_remain_continue_at_the_whole_rate(ends_at_s: int) -> None:
    # The first of three runs has few rows: it ends, and the others share its turns.
    service = Service(0.1, per_s=12, burst=1, retry_after="fractional")
    limiters = [RateLimiter(64) for _ in range(3)]
    rows = [ends_at_s * 4, 10**6, 10**6]
    played = play_together(service, limiters, rows=rows, until_s=400, told_every_s=1.0)
    assert len(played[0].answers) == rows[0]
    used, slowest, _ = shared(played[1:], 200, 400)
    assert used >= 0.85 * 12
    assert slowest >= 0.5


def test_random_refusals_that_are_expected_are_no_collisions() -> None:
    limiter = at_rest(20.0)
    limiter.allocate(Allocation(0.5, 20.0), 0.0)
    limiter._random_refusals._share = 0.3  # as measured while it was alone
    now = with_refusals(limiter, 0.0, calls=400, every=5)
    assert limiter.usage(now).refused == 0
