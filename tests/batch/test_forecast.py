"""A quote from a pilot: its 95 % interval holds in 95 of 100 batches, and what a pilot cannot see is said."""

from pathlib import Path

import pytest

from pareta_batch.ledger.queries import Sample
from pareta_batch.money.cost_forecast import forecast
from pareta_batch.money.prices import Answered
from pareta_batch.quote import quote_from
from tests.batch.batches import batch_in
from tests.batch.pilots import LOGNORMAL, OTHERS, Rows, coverage
from tests.grids import extremes

SAMPLES = 250
SLACK = 2 * (0.95 * 0.05 / SAMPLES) ** 0.5


@pytest.mark.parametrize("pilot", [20, pytest.param(100, marks=pytest.mark.long)])
@pytest.mark.parametrize("kind", extremes(LOGNORMAL), ids=lambda kind: kind.name)
def test_the_interval_holds_on_skewed_lengths_within_three_points_of_95(kind: Rows, pilot: int) -> None:
    held = coverage(kind, pilot, samples=SAMPLES).held
    assert 0.92 - SLACK <= held <= 0.98 + SLACK


@pytest.mark.parametrize("kind", extremes(OTHERS[:4]), ids=lambda kind: kind.name)
def test_the_interval_holds_on_other_lengths_too(kind: Rows) -> None:
    assert coverage(kind, 20, samples=SAMPLES).held >= 0.92 - SLACK


def test_it_is_no_wider_than_lengths_of_the_prompt_allow() -> None:
    alike = Rows("answers of one length", answers=0.01)
    assert coverage(alike, 20, samples=100).width < 0.15


def test_the_same_rows_give_the_same_forecast() -> None:
    answered = [Answered(100 * n, 10 * n, 25 * n, 8 + n % 3) for n in range(1, 30)]
    assert forecast(answered, {500: 20, 700: 3}) == forecast(answered, {500: 20, 700: 3})


def test_rows_that_cost_by_their_prompt_alone_are_forecast_almost_exactly() -> None:
    answered = [Answered(400 * n, 10 * n, 100 * n, 1) for n in range(1, 21)]
    made = forecast(answered, {4_000: 100})
    assert made.low == pytest.approx(10_000, rel=0.01)
    assert made.high == pytest.approx(10_000, rel=0.01)


def test_no_rows_to_send_cost_nothing() -> None:
    answered = [Answered(100, 10, 25, 8)] * 5
    assert forecast(answered, {}).high == 0


def test_receipts_without_tokens_are_forecast_by_their_sum() -> None:
    answered = [Answered(100 * n, 10 * n) for n in range(1, 21)]
    made = forecast(answered, {1_000: 10})
    assert made.low <= 1_000 <= made.high


@pytest.mark.parametrize("answers", [1, 7])
def test_answers_that_are_all_alike_and_a_pilot_of_five_are_no_error(answers: int) -> None:
    made = forecast([Answered(100, 10, 25, answers)] * 5, {100: 10})
    assert (round(made.low), round(made.high)) == (100, 100)


def test_answers_are_bounded_by_max_tokens() -> None:
    answered = [Answered(100, 2 + 4**n, 20, 4**n) for n in range(6)]
    free, bounded = forecast(answered, {100: 1_000}), forecast(answered, {100: 1_000}, max_tokens=1_024)
    assert bounded.high < free.high
    assert bounded.high <= 1_000 * 1_030


def sample(answers: int) -> Sample:
    answered = tuple(Answered(100 + n, 30 + n % 7, 25, 20 + n % 7) for n in range(answers))
    return Sample(answers, 33.0, 4.0, 100.0, answered, {100: 1_000})


def test_a_small_pilot_says_what_it_cannot_see(tmp_path: Path) -> None:
    batch = batch_in(tmp_path, 3, sampling={})
    told = quote_from(batch, 1_020, 1_000, sample(20), None)
    assert told.rare_micro_usd is not None
    assert told.rare_micro_usd > 1_000 * 0.01 * 99 * 15
    assert "20 answers can miss rare rows: if one row in 100 has an answer 100 times as long, add $" in str(told)
    assert "can miss" not in str(quote_from(batch, 1_300, 1_000, sample(300), None))


def test_rare_answers_are_no_longer_than_max_tokens(tmp_path: Path) -> None:
    bounded = quote_from(batch_in(tmp_path, 3, sampling={"max_tokens": 60}), 1_020, 1_000, sample(20), None)
    assert bounded.rare_micro_usd is not None
    assert bounded.rare_micro_usd < 1_000
