"""What is refused at random: measured far below the best pace, then expected."""

import pytest

from pareta_batch.rate_limit.limiter import RateLimiter
from pareta_batch.rate_limit.random_refusals import MAX_ANSWERS, MIN_CALLS_PER_REFUSAL, RandomRefusals
from tests.batch.services import Service, first_of, play


def measuring(gap_s: float = 0.01, pause_s: float = 0.0) -> RandomRefusals:
    chance = RandomRefusals()
    for call in range(MAX_ANSWERS):
        chance.answered(call * gap_s + pause_s * (call > MAX_ANSWERS // 2))
    chance.refused_at_rest(100.0, pause_s=0.5)
    chance.refused_at_rest(40.0, pause_s=0.5)
    assert chance.gap_s > 0
    return chance


def play_on(chance: RandomRefusals, calls: int, *, refuses_every: int) -> int:
    """Start calls of which one in so many is refused; give how many of these were expected."""
    expected = 0
    for call in range(1, calls + 1):
        chance.started()
        if call % refuses_every == 0:
            expected += chance.refused(first=True)
    return expected


def test_nothing_is_measured_as_long_as_the_pace_is_half_of_the_best_one() -> None:
    chance = RandomRefusals()
    for call in range(MAX_ANSWERS):
        chance.answered(call * 0.01)
    for pace in (100.0, 70.0, 50.0):
        chance.refused_at_rest(pace, pause_s=0.0)
        assert chance.gap_s == 0


def test_calls_are_twice_as_far_apart_as_answers_were_while_it_is_measured() -> None:
    assert measuring().gap_s == pytest.approx(0.02)


def test_a_pause_counts_as_a_hold_at_most() -> None:
    assert measuring(pause_s=3600).gap_s < 0.1


def test_so_many_as_were_refused_are_expected_from_then_on() -> None:
    chance = measuring()
    play_on(chance, 160, refuses_every=20)
    assert chance.measured()
    assert chance.gap_s == 0
    assert play_on(chance, 2_000, refuses_every=20) == 100


def test_more_than_were_measured_are_not_expected() -> None:
    chance = measuring()
    play_on(chance, 160, refuses_every=20)
    assert chance.measured()
    assert 110 <= play_on(chance, 2_000, refuses_every=8) <= 150


def test_a_burst_is_not_expected_twice() -> None:
    chance = measuring()
    play_on(chance, 160, refuses_every=20)
    assert chance.measured()
    assert chance.refused(first=True)
    for _ in range(30):
        chance.refused(first=False)
    assert play_on(chance, 400, refuses_every=20) == 0


def test_a_measurement_ends_when_hardly_a_call_is_refused() -> None:
    chance = measuring()
    calls = 0
    while chance.gap_s:
        chance.started()
        calls += 1
        assert not chance.measured()
    assert calls == MIN_CALLS_PER_REFUSAL


def test_a_measurement_ends_when_many_calls_are_refused() -> None:
    chance = measuring()
    play_on(chance, 8, refuses_every=1)
    assert not chance.measured()
    assert chance.gap_s == 0
    assert play_on(chance, 100, refuses_every=10) == 0


def test_a_large_share_is_measured_again_at_half_the_pace() -> None:
    chance = measuring()
    play_on(chance, 48, refuses_every=6)
    assert not chance.measured()
    assert chance.gap_s == pytest.approx(0.04)
    play_on(chance, 48, refuses_every=6)
    assert chance.measured()
    assert chance.gap_s == 0


def test_a_large_share_that_is_gone_at_half_the_pace_was_for_a_limit() -> None:
    chance = measuring()
    play_on(chance, 48, refuses_every=6)
    assert not chance.measured()
    play_on(chance, MIN_CALLS_PER_REFUSAL, refuses_every=MIN_CALLS_PER_REFUSAL + 1)
    assert not chance.measured()
    assert chance.gap_s == 0
    assert play_on(chance, 60, refuses_every=6) == 0


@pytest.mark.parametrize("retry_after", first_of("none", "fractional"))
@pytest.mark.parametrize(("per_s", "burst"), first_of((20, 2), (50, 240), (230, 4)))
def test_a_limit_that_is_lowered_to_a_quarter_is_not_taken_for_chance(per_s: int, burst: int, retry_after: str) -> None:
    service = Service(0.011, per_s=per_s, burst=burst, spread=0.0, retry_after=retry_after, grows_at_s=40, grows=0.25)  # type: ignore[arg-type]
    played = play(service, RateLimiter(64), rows=per_s * 60)
    assert played.wasted < 0.05


@pytest.mark.parametrize("retry_after", first_of("none", "fractional"))
@pytest.mark.parametrize("at_random", first_of(0.03, 0.1))
@pytest.mark.parametrize(
    ("limit", "per_s"),
    first_of(({"per_s": 200, "burst": 20}, 200.0), ({}, 64 / 0.105)),
    ids=["200 a second", "without a limit"],
)
def test_a_service_that_refuses_calls_at_random_is_used(
    limit: dict[str, int], per_s: float, at_random: float, retry_after: str
) -> None:
    service = Service(0.1, at_random=at_random, retry_after=retry_after, **limit)  # type: ignore[arg-type]
    played = play(service, RateLimiter(64), rows=30_000)
    assert played.per_s(after_s=played.answers[15_000]) >= 0.7 * per_s
    assert played.wasted < 2.5 * at_random


def test_calls_at_once_are_found_though_some_are_refused_at_random() -> None:
    played = play(Service(0.1, concurrent=16, at_random=0.03, retry_after="none"), RateLimiter(64), rows=20_000)
    assert played.per_s(after_s=played.answers[10_000]) >= 0.6 * 16 / 0.105


@pytest.mark.parametrize("retry_after", first_of("none", "fractional", "seconds"))
def test_what_was_saved_up_for_a_minute_is_not_taken_for_chance(retry_after: str) -> None:
    service = Service(0.1, per_s=10, burst=600, retry_after=retry_after)  # type: ignore[arg-type]
    played = play(service, RateLimiter(64), rows=1_800)
    assert played.refused < 45
