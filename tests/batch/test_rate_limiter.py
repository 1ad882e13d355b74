"""The throttle against services that allow so much without telling, with 64 in flight allowed."""

from math import inf

import pytest

from pareta_batch.rate_limit.concurrency import ConcurrencyEstimate
from pareta_batch.rate_limit.history import MAX_HISTORY
from pareta_batch.rate_limit.limiter import MAX_DEFAULT_PAUSE_S, RateLimiter
from pareta_batch.rate_limit.rate import MAX_STEP_FACTOR, Rate
from tests.batch.services import Service, first_of, play

MOST = 64


@pytest.mark.parametrize("retry_after", first_of("none", "fractional", "seconds"))
@pytest.mark.parametrize(
    ("per_s", "burst", "latency_s"), first_of((200, 20, 0.1), (200, 200, 0.1), (50, 10, 0.5), (50, 10, 0.02))
)
def test_an_untold_rate_is_found_and_kept_with_hardly_a_wasted_request(
    per_s: int, burst: int, latency_s: float, retry_after: str
) -> None:
    service = Service(latency_s, per_s=per_s, burst=burst, retry_after=retry_after)  # type: ignore[arg-type]
    played = play(service, RateLimiter(MOST), rows=per_s * 100)
    assert played.wasted < 0.03
    # Each of the first few refusals costs a second where the service says so in whole seconds.
    assert played.per_s(after_s=25) >= 0.95 * per_s


@pytest.mark.parametrize("retry_after", first_of("none", "fractional", "seconds"))
@pytest.mark.parametrize("late_s", first_of(0.0003, 0.002))
def test_a_machine_that_is_late_costs_nothing_where_the_service_saves_up(late_s: float, retry_after: str) -> None:
    service = Service(0.1, per_s=200, burst=20, late_s=late_s, retry_after=retry_after)  # type: ignore[arg-type]
    played = play(service, RateLimiter(MOST), rows=20_000)
    assert played.wasted < 0.03
    assert played.per_s(after_s=25) >= 0.9 * 200


@pytest.mark.parametrize(
    ("retry_after", "late_s", "share"),
    first_of(
        ("none", 0.0003, 0.7),
        ("fractional", 0.0003, 0.7),
        ("seconds", 0.0003, 0.5),
        ("none", 0.002, 0.3),
        ("fractional", 0.002, 0.3),
        ("seconds", 0.002, 0.15),
    ),
)
def test_a_service_that_saves_up_nothing_is_used_as_evenly_as_the_machine_can(
    retry_after: str, late_s: float, share: float
) -> None:
    # Calls 5 ms apart, each late by so much twice: any two that come closer together cost a refusal.
    service = Service(0.1, per_s=200, burst=1, late_s=late_s, retry_after=retry_after)  # type: ignore[arg-type]
    played = play(service, RateLimiter(MOST), rows=round(200 * share * 80))
    assert played.wasted < 0.03
    assert played.per_s(after_s=25) >= share * 200


@pytest.mark.parametrize("retry_after", first_of("none", "seconds"))
def test_a_batch_that_is_slow_to_begin_does_not_send_everything_at_once(retry_after: str) -> None:
    service = Service(0.1, per_s=50, burst=5, slow_start_s=0.2, retry_after=retry_after)  # type: ignore[arg-type]
    played = play(service, RateLimiter(MOST), rows=2_000)
    assert played.wasted < 0.03
    assert played.per_s(after_s=10) >= 0.93 * 50


@pytest.mark.parametrize("retry_after", first_of("none", "seconds"))
@pytest.mark.parametrize(("concurrent", "latency_s"), first_of((4, 0.1), (8, 0.02), (16, 0.1), (40, 0.5)))
def test_an_untold_number_of_calls_at_once_is_found_and_kept(
    concurrent: int, latency_s: float, retry_after: str
) -> None:
    service = Service(latency_s, concurrent=concurrent, retry_after=retry_after)  # type: ignore[arg-type]
    ideal = concurrent / (latency_s * 1.046)  # the mean of the simulated latencies
    played = play(service, RateLimiter(MOST), rows=int(ideal * 80))
    assert played.wasted < 0.03
    assert played.per_s(after_s=15) >= 0.93 * ideal


@pytest.mark.parametrize("late_s", first_of(0.0003, 0.005))
@pytest.mark.parametrize("concurrent", first_of(4, 16))
def test_calls_at_once_are_found_out_by_few_refusals_on_a_machine_that_is_late(concurrent: int, late_s: float) -> None:
    service = Service(0.1, concurrent=concurrent, late_s=late_s, retry_after="none")
    played = play(service, RateLimiter(MOST), rows=concurrent * 300)
    assert played.wasted < 0.03


@pytest.mark.parametrize("concurrent", first_of(1, 2, 4, 16))
def test_calls_at_once_that_come_back_together_are_found_out_too(concurrent: int) -> None:
    service = Service(0.1, concurrent=concurrent, retry_after="none", spread=0.0)
    played = play(service, RateLimiter(MOST), rows=concurrent * 600)
    assert played.wasted < 0.03
    assert played.per_s(after_s=5) >= 0.95 * concurrent / 0.1


@pytest.mark.parametrize("spread", first_of(0.0, 0.3))
@pytest.mark.parametrize("concurrent", first_of(1, 2, 4, 16))
def test_calls_at_once_are_found_by_three_holds_of_a_second(concurrent: int, spread: float) -> None:
    service = Service(0.1, concurrent=concurrent, spread=spread, retry_after="seconds")
    ideal = concurrent / (0.1 * (1.046 if spread else 1.0))
    played = play(service, RateLimiter(MOST), rows=int(ideal * 25))
    assert played.refused <= 4
    assert played.per_s(after_s=5) >= 0.93 * ideal


@pytest.mark.parametrize("retry_after", first_of("none", "seconds"))
@pytest.mark.parametrize("spread", first_of(0.0, 0.3))
@pytest.mark.parametrize(
    ("per_s", "burst", "latency_s"), first_of((50, 5, 0.1), (50, 5, 0.2), (50, 5, 1.0), (20, 5, 0.5))
)
def test_a_rate_is_not_taken_for_calls_at_once_because_few_are_saved_up(
    per_s: int, burst: int, latency_s: float, spread: float, retry_after: str
) -> None:
    service = Service(latency_s, per_s=per_s, burst=burst, spread=spread, retry_after=retry_after)  # type: ignore[arg-type]
    played = play(service, RateLimiter(MOST), rows=per_s * 100)
    assert played.wasted < 0.03
    assert played.per_s(after_s=25) >= 0.93 * per_s


@pytest.mark.parametrize("spread", first_of(0.0, 0.3))
@pytest.mark.parametrize("burst", first_of(1, 5))
def test_a_slow_rate_that_nobody_tells_is_found_by_few_refusals(burst: int, spread: float) -> None:
    service = Service(0.1, per_s=5, burst=burst, spread=spread, retry_after="none")
    played = play(service, RateLimiter(MOST), rows=1_000)
    assert played.wasted < 0.04
    assert played.per_s(after_s=25) >= 0.93 * 5


@pytest.mark.parametrize("retry_after", first_of("none", "seconds"))
@pytest.mark.parametrize(("concurrent", "latency_s"), first_of((4, 1.0), (16, 0.3), (40, 2.0)))
def test_calls_at_once_are_found_over_a_long_way(concurrent: int, latency_s: float, retry_after: str) -> None:
    service = Service(latency_s, concurrent=concurrent, network_s=0.02, retry_after=retry_after)  # type: ignore[arg-type]
    ideal = concurrent / (latency_s * 1.046 + 0.04)
    played = play(service, RateLimiter(MOST), rows=int(ideal * 120))
    assert played.per_s(after_s=20) >= 0.93 * ideal


@pytest.mark.parametrize("stall_s", first_of(0.3, 0.5))
@pytest.mark.parametrize("concurrent", first_of(8, 12))
def test_a_machine_that_stands_still_in_the_beginning_costs_little(concurrent: int, stall_s: float) -> None:
    service = Service(0.1, concurrent=concurrent, spread=0.0, slow_start_s=stall_s, retry_after="seconds")
    played = play(service, RateLimiter(MOST), rows=concurrent * 250)
    assert len(played.answers) / played.answers[-1] >= 0.75 * concurrent / 0.1


@pytest.mark.parametrize("retry_after", first_of("none", "seconds"))
@pytest.mark.parametrize(("concurrent", "grows"), first_of((8, 0.5), (32, 0.125), (4, 0.5)))
def test_calls_at_once_that_become_fewer_are_found_again(concurrent: int, grows: float, retry_after: str) -> None:
    service = Service(0.1, concurrent=concurrent, grows_at_s=10, grows=grows, retry_after=retry_after)  # type: ignore[arg-type]
    fewer = concurrent * grows / (0.1 * 1.046)
    played = play(service, RateLimiter(MOST), rows=round(concurrent / 0.105 * 10 + fewer * 90))
    assert played.wasted < 0.03
    assert played.per_s(after_s=40) >= 0.9 * fewer


@pytest.mark.parametrize("latency_s", first_of(5.0, 20.0))
def test_of_a_few_long_calls_hardly_one_is_refused(latency_s: float) -> None:
    service = Service(latency_s, concurrent=1, retry_after="none")
    played = play(service, RateLimiter(MOST), rows=600)
    assert played.wasted < 0.05
    assert played.per_s(after_s=60) >= 0.93 / (latency_s * 1.046)


def test_errors_of_a_service_put_off_that_more_calls_at_once_are_tried() -> None:
    service = Service(0.1, concurrent=16, failing=0.05, retry_after="seconds")
    played = play(service, RateLimiter(MOST), rows=12_000)
    assert played.per_s(after_s=10) >= 0.85 * 160 / 1.046


@pytest.mark.parametrize("retry_after", first_of("none", "fractional", "seconds"))
def test_a_batch_whose_very_first_call_is_refused_goes_on(retry_after: str) -> None:
    service = Service(0.1, per_s=50, burst=10, saved_up=0, retry_after=retry_after)  # type: ignore[arg-type]
    played = play(service, RateLimiter(16), rows=2_000)
    assert played.wasted < 0.03
    assert played.per_s(after_s=10) >= 0.93 * 50


def test_a_limit_that_looked_like_chance_is_not_pressed_for_ever() -> None:
    service = Service(0.0117, concurrent=57, spread=0.0, retry_after="fractional")
    played = play(service, RateLimiter(142), rows=60_000)
    assert played.wasted < 0.03
    assert played.per_s(after_s=15) >= 0.4 * 57 / 0.0123


def test_what_the_service_taught_outlasts_a_lower_bound_of_ours() -> None:
    limiter = RateLimiter(MOST)
    play(Service(0.1, concurrent=8), limiter, rows=1_000)
    seen = []
    for most in (64, 4, 8, 64):
        limiter.bound(most)
        seen.append(limiter.limit)
    assert seen == [8, 4, 8, 8]


def test_a_trial_that_begins_above_a_lower_bound_of_ours_allows_no_more_than_that() -> None:
    cap = ConcurrencyEstimate(MOST)
    cap.refused(8)
    cap.answered(0, now=0.0, paused=True, period_s=1.0)
    cap.bound(4)
    cap.refused(8)  # sent before
    cap.started(0.1)
    for _ in range(40):
        cap.answered(3, now=0.2, paused=False, period_s=1.0)
    assert cap.next_at(10.0, in_flight=4) == inf


def test_a_number_whose_trial_was_cut_short_is_tried_again() -> None:
    cap = ConcurrencyEstimate(MOST)

    def refused_twice_at_eight() -> int:
        for _ in range(2):
            cap.answered(0, now=0.0, paused=True, period_s=1.0)
            cap.refused(8)
        return cap.limit

    assert refused_twice_at_eight() == 8
    for most in (4, MOST):
        cap.bound(most)
    assert (cap.limit, cap.on_trial) == (MOST, False)
    assert refused_twice_at_eight() == 8


def test_a_rate_that_is_refused_again_and_again_is_lowered_by_bounded_steps() -> None:
    rate = Rate(MOST)
    rate.resting = True
    for second in range(1, 40):
        before = rate.per_s
        rate.refused(second - 0.001, float(second), pause_s=0.02)
        assert before / MAX_STEP_FACTOR <= rate.per_s < before


@pytest.mark.parametrize("latency_s", first_of(0.02, 0.1, 1.0))
def test_without_a_limit_next_to_nothing_is_lost(latency_s: float) -> None:
    played = play(Service(latency_s), RateLimiter(MOST), rows=6_000)
    ideal_s = 6_000 * (latency_s * 1.046 + 0.0006) / MOST
    assert played.answers[-1] <= ideal_s * 1.05 + 0.1 + 2 * latency_s


@pytest.mark.parametrize(("most", "concurrent"), first_of((16, 11), (64, 14), (8, 6)))
def test_a_refusal_right_after_a_raise_does_not_take_away_what_had_held(most: int, concurrent: int) -> None:
    played = play(
        Service(0.019, concurrent=concurrent, spread=0.0, retry_after="seconds"), RateLimiter(most), rows=10_000
    )
    assert played.per_s(after_s=15) >= 0.9 * concurrent / 0.0196


@pytest.mark.parametrize("retry_after", first_of("none", "fractional"))
def test_a_service_that_refuses_a_few_at_random_is_not_crept_to(retry_after: str) -> None:
    service = Service(0.1, at_random=0.03, retry_after=retry_after)  # type: ignore[arg-type]
    played = play(service, RateLimiter(MOST), rows=20_000)
    assert played.per_s(after_s=10) >= 0.3 * MOST / 0.105


@pytest.mark.parametrize("retry_after", first_of("none", "fractional", "seconds"))
def test_errors_of_a_service_put_off_what_is_tried_next_but_not_for_ever(retry_after: str) -> None:
    service = Service(0.1, per_s=200, burst=20, failing=0.05, retry_after=retry_after)  # type: ignore[arg-type]
    played = play(service, RateLimiter(MOST), rows=20_000)
    assert played.per_s(after_s=25) >= 0.85 * 200


@pytest.mark.parametrize("retry_after", first_of("none", "seconds"))
def test_calls_at_once_that_become_more_are_found_again(retry_after: str) -> None:
    service = Service(0.1, concurrent=4, grows_at_s=30, retry_after=retry_after)  # type: ignore[arg-type]
    played = play(service, RateLimiter(MOST), rows=40_000)
    assert played.wasted < 0.03
    assert played.per_s(after_s=150) >= 0.95 * 160 / 1.046


@pytest.mark.parametrize(("retry_after", "after_s"), first_of(("none", 60), ("fractional", 60), ("seconds", 600)))
def test_a_rate_that_is_raised_is_found_again(retry_after: str, after_s: float) -> None:
    service = Service(0.1, per_s=50, burst=10, grows_at_s=30, retry_after=retry_after)  # type: ignore[arg-type]
    played = play(service, RateLimiter(MOST), rows=100_000)
    assert played.wasted < 0.03
    assert played.per_s(after_s=after_s) >= 0.9 * 200


def test_the_history_of_the_limit_is_bounded_and_begins_with_the_first_call() -> None:
    limiter = RateLimiter(MOST)
    played = play(Service(0.1, per_s=200, burst=20, retry_after="none"), limiter, rows=100_000)
    assert len(limiter.history) <= MAX_HISTORY
    assert limiter.history[0].at_s == 0
    assert limiter.history[-1].at_s > 0.9 * played.answers[-1]


def test_everybody_holds_at_least_as_long_as_the_service_asked() -> None:
    limiter = RateLimiter(MOST)
    call = limiter.started(10.0)
    limiter.refused(call, 10.5, 7.0)
    assert limiter.wait(10.6) == pytest.approx(6.9)
    assert limiter.starving_s(10.6) == pytest.approx(7.5)


def test_calls_that_were_sent_before_a_cut_belong_to_its_episode() -> None:
    limiter = RateLimiter(MOST)
    calls = [limiter.started(n / 1000) for n in range(10)]
    for call in calls:
        limiter.refused(call, 0.02, 0.5)
    assert len(limiter.history) == 2, "the beginning, and one cut"
    assert limiter.refusals == 10


def test_a_service_that_does_not_say_how_long_is_left_alone_longer_each_time() -> None:
    limiter = RateLimiter(MOST)
    now, holds = 0.0, []
    for _ in range(12):
        now += limiter.wait(now) or 0.0
        limiter.refused(limiter.started(now), now + 0.001, None)
        holds.append(round(limiter.wait(now + 0.001) or 0.0, 6))
    assert holds == sorted(holds)
    assert MAX_DEFAULT_PAUSE_S <= holds[-1] <= MAX_DEFAULT_PAUSE_S * 1.1 + 2


def test_never_more_in_flight_than_the_bound() -> None:
    limiter = RateLimiter(3)
    now = 0.0
    for _ in range(3):
        now += limiter.wait(now) or 0.0
        limiter.started(now)
    assert limiter.wait(now + 1) is None


@pytest.mark.parametrize("retry_after", [None, 0.0, 1e-9, 0.001, 0.01])
def test_a_service_that_refuses_everything_is_asked_ever_less_often(retry_after: float | None) -> None:
    limiter, now, sent = RateLimiter(MOST), 0.0, 0
    while now < 900:
        wait = limiter.wait(now)
        assert wait is not None
        now += wait
        call = limiter.started(now)
        now += 0.001
        limiter.refused(call, now, retry_after)
        sent += 1
    assert sent < 200


def test_a_retry_after_longer_than_the_backoff_is_honoured() -> None:
    limiter = RateLimiter(MOST)
    limiter.refused(limiter.started(0.0), 0.1, 30.0)
    assert limiter.wait(0.1) == pytest.approx(30.0)
