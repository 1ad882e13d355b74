"""The ceiling holds, whatever the fields, the prices and the losses; or the report tells how much above, and why."""

import asyncio
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pareta_batch.engine.planning import register_rows
from pareta_batch.engine.policy import RETRY_POLICY, RetryPolicy
from pareta_batch.ledger.ledger import Ledger
from pareta_batch.ledger.writes import LedgerWrites
from pareta_batch.money.budget import Budget, BudgetGate, Reservation, Unavailable, micro_usd
from pareta_batch.money.prices import Prices
from pareta_batch.rows.identity import idempotency_key
from pareta_batch.spec import Batch
from pareta_client import AsyncPareta
from pareta_sandbox.testing import Drop, Fault, OddReply, PriceChange, Sandbox, Status, TruncatedJson
from tests.batch.batches import QUICK, batch_in, run
from tests.grids import extremes

MAX_TOKENS = 50


@dataclass(frozen=True)
class Row:
    """One row of the simulation: bytes and tokens of its prompt, tokens of its answer, what is lost of its attempts."""

    prompt_bytes: int
    prompt_tokens: int
    answer_tokens: int
    losses: tuple[str, ...]


@dataclass
class Service:
    """A service that honours idempotency keys, with its books; its rates change after so many debits."""

    rates: list[tuple[int, Fraction, Fraction]]
    debited: dict[int, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return sum(self.debited.values())

    def answer(self, number: int, row: Row) -> int:
        """Debit a row once; return what its receipt says."""
        if number in self.debited:
            return 0
        prompt, answer = next((p, a) for since, p, a in reversed(self.rates) if len(self.debited) >= since)
        self.debited[number] = max(1, ceil(row.prompt_tokens * prompt + row.answer_tokens * answer))
        return self.debited[number]


rates = st.fractions(Fraction(1, 1000), 50)
losses = st.lists(st.sampled_from(["before", "after", "refused"]), max_size=3).map(tuple)
rows = st.integers(4, 4_000).flatmap(
    lambda size: st.builds(Row, st.just(size), st.integers(1, size), st.integers(1, MAX_TOKENS), losses)
)
work = st.lists(rows, min_size=1, max_size=40)


def play(budget: Budget, service: Service, given: list[Row], in_flight: int) -> list[int]:
    """Send rows as the engine does; return the debits, after each landing, above the ceiling."""
    waiting = [(number, row, 0) for number, row in enumerate(given)]
    flying: list[tuple[Reservation, int, Row, int]] = []
    doubted: set[int] = set()
    above = []

    def land() -> None:
        reservation, number, row, attempt = flying.pop(0)
        loss = row.losses[attempt] if attempt < len(row.losses) else None
        if loss == "refused":
            budget.not_paid(reservation)
        elif loss is not None:
            if loss == "after":
                service.answer(number, row)
            budget.doubtful(reservation)
            doubted.add(number)
            waiting.insert(0, (number, row, attempt + 1))
        else:
            budget.paid(reservation, service.answer(number, row), row.prompt_tokens, row.answer_tokens)
        above.append(service.total - budget.ceiling)

    while waiting or flying:
        granted = (
            budget.reserve(waiting[0][1].prompt_bytes, again=waiting[0][0] in doubted) if waiting else Unavailable.WAIT
        )
        if isinstance(granted, Reservation) and len(flying) < in_flight:
            flying.append((granted, *waiting.pop(0)))
            continue
        if isinstance(granted, Reservation):
            budget.not_paid(granted)
        elif granted is Unavailable.EXHAUSTED and not flying:
            break
        land()
    return above


@given(work, st.integers(1, 8), rates, rates, st.integers(0, 3_000))
def test_debits_never_exceed_the_ceiling_while_the_price_stays_and_the_first_answer_fits(
    given: list[Row], in_flight: int, prompt: Fraction, answer: Fraction, more: int
) -> None:
    dearest = max(ceil(row.prompt_tokens * prompt + row.answer_tokens * answer) for row in given)
    service = Service([(0, prompt, answer)])
    budget = Budget(ceiling=dearest + more, max_tokens=MAX_TOKENS)
    assert max(play(budget, service, given, in_flight)) <= 0
    assert budget.prices.rise is None, "no price is refuted that did not change"


@given(work, st.integers(1, 8), st.lists(st.tuples(st.integers(1, 20), rates, rates), max_size=3), rates, st.data())
def test_when_prices_change_the_purse_knows_how_much_is_above_the_ceiling_and_what_was_in_flight_bounds_it(
    given: list[Row],
    in_flight: int,
    changes: list[tuple[int, Fraction, Fraction]],
    first: Fraction,
    data: st.DataObject,
) -> None:
    service = Service([(0, first, first), *sorted(changes)])
    dearest = max(ceil(each.prompt_tokens * p + each.answer_tokens * a) for each in given for _, p, a in service.rates)
    budget = Budget(ceiling=data.draw(st.integers(1, 4 * dearest)), max_tokens=MAX_TOKENS)
    # An answer whose price no receipt ever told cannot be counted.
    given = [Row(row.prompt_bytes, row.prompt_tokens, row.answer_tokens, ()) for row in given]
    above = max(play(budget, service, given, in_flight))
    assert above <= in_flight * (len(changes) + 1) * dearest
    assert max(0, above) == max(0, budget.spent - budget.ceiling)
    if above > 0 and len(service.debited) > 1:
        assert budget.prices.rise is not None


def test_one_request_is_in_flight_after_a_dear_receipt_until_one_fits_again() -> None:
    budget = Budget(ceiling=1_000_000, max_tokens=10, prices=Prices().learn(10, 10, 10))
    flying = [budget.reserve(10) for _ in range(3)]
    assert all(isinstance(each, Reservation) for each in flying)
    budget.paid(as_reservation(flying[0]), 200, 10, 10)
    assert budget.reserve(10) is Unavailable.WAIT
    budget.paid(as_reservation(flying[1]), 10, 10, 10)
    assert budget.reserve(10) is Unavailable.WAIT, "it was reserved before the price rose"
    budget.paid(as_reservation(flying[2]), 200, 10, 10)
    alone = as_reservation(budget.reserve(10))
    assert (alone.micro_usd >= 200, budget.reserve(10)) == (True, Unavailable.WAIT)
    budget.paid(alone, 200, 10, 10)
    assert all(isinstance(budget.reserve(10), Reservation) for _ in range(3))
    assert budget.prices.rise is not None


def test_a_dear_receipt_without_token_counts_raises_the_bound_too() -> None:
    budget = Budget(ceiling=1_000_000, max_tokens=10, prices=Prices().learn(10, 10, 10))
    before = as_reservation(budget.reserve(10))
    budget.paid(before, 20 * before.micro_usd, None, None)
    assert as_reservation(budget.reserve(10)).micro_usd >= 20 * before.micro_usd


def test_a_replay_neither_tells_a_price_nor_ends_the_wait_after_a_dear_receipt() -> None:
    budget = Budget(ceiling=1_000_000, max_tokens=10, prices=Prices().learn(10, 10, 10))
    budget.paid(as_reservation(budget.reserve(10)), 900, 10, 10)
    budget.paid(as_reservation(budget.reserve(10)), 0, 10, 10)
    assert isinstance(budget.reserve(10), Reservation)
    assert budget.reserve(10) is Unavailable.WAIT


def test_a_lost_first_answer_holds_all_that_is_left_until_a_receipt_tells_the_price() -> None:
    budget = Budget(ceiling=1_000, max_tokens=10)
    budget.doubtful(as_reservation(budget.reserve(10)))
    assert budget.reserve(10) is Unavailable.EXHAUSTED
    again = as_reservation(budget.reserve(10, again=True))
    assert again.micro_usd == 1_000
    budget.paid(again, 10, 5, 5)
    assert isinstance(budget.reserve(10), Reservation)


async def test_rows_wait_for_the_one_in_doubt_that_may_tell_the_price_and_no_longer() -> None:
    budget = BudgetGate(Budget(ceiling=1_000, max_tokens=10))
    first = await budget.reserve(10)
    assert first is not None
    budget.add_price_source("r0")
    budget.not_answered(first, in_doubt=True)
    other = asyncio.create_task(budget.reserve(10))
    await asyncio.sleep(0)
    assert not other.done()
    budget.withdraw_price_source("r0")
    assert await other is None
    assert "before any receipt revealed a price" in budget.exhausted_reason(0.001)


def as_reservation(granted: Reservation | Unavailable) -> Reservation:
    assert isinstance(granted, Reservation)
    return granted


def test_prices_are_exact_and_a_bound_is_never_rounded_down() -> None:
    prices = Prices().learn(1, 3, 7)
    assert (prices.prompt, prices.completion) == (Fraction(1, 3), Fraction(1, 7))
    assert prices.at_most(1, 3 * 10**15, 7) == 10**15 + 2


@pytest.mark.parametrize(
    ("dollars", "ceiling"), [(0.0005, 500), (0.0000019, 1), (1.1, 1_100_000), (0.29, 290_000), (1e-06, 1)]
)
def test_a_ceiling_is_rounded_down_to_a_micro_dollar(dollars: float, ceiling: int) -> None:
    assert micro_usd(dollars) == ceiling


BOUNDED: list[tuple[dict[str, Any], int]] = [
    ({"max_tokens": 10}, 10),
    ({"max_completion_tokens": 10}, 10),
    ({"max_tokens": 500, "max_completion_tokens": 1}, 500),
    ({"max_tokens": 1, "max_completion_tokens": 500}, 500),
    ({"max_tokens": 10, "n": 10}, 100),
    ({"max_tokens": 10, "n": 2, "best_of": 5}, 50),
    ({"max_tokens": 10, "extra_body": {"n": 10}}, 100),
    ({"max_tokens": 10, "n": 3, "extra_body": {"n": 2, "max_tokens": 400}}, 1200),
    ({"max_tokens": 10, "tools": [{"type": "function", "function": {"name": "f"}}]}, 10),
    ({"max_tokens": 10, "modalities": ["text"], "service_tier": "default"}, 10),
    ({"max_tokens": 10, "reasoning_effort": "high", "logprobs": True, "extra_body": {"top_k": 5}}, 10),
    ({"max_tokens": 10, "web_search_options": None}, 10),
]


@pytest.mark.parametrize(("sampling", "tokens"), BOUNDED)
def test_every_field_that_multiplies_an_answer_is_in_its_bound(
    tmp_path: Path, sampling: dict[str, Any], tokens: int
) -> None:
    assert batch_in(tmp_path, budget_usd=1, sampling=sampling).sampling.most_tokens == tokens


UNBOUNDED: list[tuple[str, Any]] = [
    ("web_search_options", {}),
    ("tools", [{"type": "web_search"}]),
    ("tools", [{"type": "function"}, {"type": "code_interpreter", "container": "auto"}]),
    ("tools", "web_search"),
    ("modalities", ["text", "audio"]),
    ("audio", {"voice": "alloy", "format": "wav"}),
    ("prediction", {"type": "content", "content": "x" * 10_000}),
    ("service_tier", "priority"),
    ("service_tier", "auto"),
    ("n", "10"),
    ("n", True),
    ("n", 1.5),
    ("n", 0),
    ("best_of", -1),
    ("max_completion_tokens", "500"),
    ("max_completion_tokens", [500]),
    ("max_output_tokens", 10_000),
    ("use_beam_search", True),
    ("models", ["dear", "cheap"]),
    ("plugins", [{"id": "web"}]),
    ("reasoning", {"max_tokens": 9_000}),
    ("thinking", {"budget_tokens": 9_000}),
    ("never_heard_of", 1),
]


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize(("name", "value"), UNBOUNDED)
def test_a_field_that_cannot_be_bounded_is_refused_by_name_with_a_budget_and_only_then(
    tmp_path: Path, name: str, value: object, inside: bool
) -> None:
    sampling = {"max_tokens": 10, **({"extra_body": {name: value}} if inside else {name: value})}
    assert batch_in(tmp_path, sampling=sampling).budget_usd is None
    place = f"sampling.extra_body.{name}" if inside else f"sampling.{name}"
    with pytest.raises(ValidationError, match=f"{place} is .*leave it out, or leave budget_usd out"):
        batch_in(tmp_path, budget_usd=1, sampling=sampling)


@pytest.mark.parametrize("extra", ["n=10", [["n", 10]], {"extra_body": {"n": 10}}])
def test_an_extra_body_that_cannot_be_read_is_refused_with_a_budget(tmp_path: Path, extra: object) -> None:
    with pytest.raises(ValidationError, match=r"sampling\.extra_body"):
        batch_in(tmp_path, budget_usd=1, sampling={"max_tokens": 10, "extra_body": extra})


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_an_empty_limit_in_extra_body_is_none_and_refused_with_a_budget(tmp_path: Path, name: str) -> None:
    sampling = {"max_tokens": 10, "extra_body": {name: None}}
    with pytest.raises(ValidationError, match=rf"sampling\.extra_body\.{name} is None"):
        batch_in(tmp_path, budget_usd=1, sampling=sampling)


async def spent(batch: Batch, sandbox: Sandbox, ledger: Ledger, policy: RetryPolicy = RETRY_POLICY) -> tuple[int, str]:
    """Run a batch twice, as after a crash; return what it really spent above its budget, and the report."""
    reports = [await run(batch, sandbox, ledger, policy) for _ in range(2)]
    assert batch.budget_usd is not None
    overspent = sandbox.books().debited_micro_usd - micro_usd(batch.budget_usd)
    assert reports[-1].overspent_micro_usd is not None
    assert overspent <= reports[-1].overspent_micro_usd
    return overspent, str(reports[-1])


@pytest.mark.parametrize(
    "sampling", [{"max_tokens": 10, "n": 10}, {"max_tokens": 500, "max_completion_tokens": 1}, {"max_tokens": 20}]
)
async def test_fields_that_multiply_an_answer_break_no_ceiling(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, sampling: dict[str, int]
) -> None:
    batch = batch_in(tmp_path, 200, max_in_flight=16, budget_usd=0.0005, sampling=sampling)
    overspent, _ = await spent(batch, sandbox, ledger)
    assert overspent <= 0


async def test_a_price_that_rises_twentyfold_costs_no_more_than_what_was_in_flight_and_the_report_tells(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    sandbox.inject(PriceChange(factor=20, skip=60))
    batch = batch_in(tmp_path, 300, max_in_flight=8, budget_usd=0.0006)
    overspent, report = await spent(batch, sandbox, ledger)
    dearest = max(debit.amount_micro_usd for debit in sandbox.books().debits)
    assert overspent <= 8 * dearest
    assert "the price changed: the highest receipt is" in report
    if overspent > 0:
        assert "above the budget of $0.0006" in report


@pytest.mark.parametrize("lost", extremes([1, 3, 20]))
async def test_answers_lost_before_any_receipt_are_not_counted_as_nothing(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, lost: int
) -> None:
    sandbox.inject(Drop(when="after", times=lost))
    batch = batch_in(tmp_path, 50, max_in_flight=8, budget_usd=0.000008)
    overspent, report = await spent(batch, sandbox, ledger, policy=QUICK)
    assert overspent <= 0, report
    assert sandbox.books().completions <= 1
    sandbox.clear_faults()
    # A higher ceiling goes on: what was lost holds the lower one, until a receipt tells the price.
    higher = await run(batch_in(tmp_path, 50, max_in_flight=8, budget_usd=0.005), sandbox, ledger, policy=QUICK)
    assert (higher.status, sandbox.books().completions) == ("completed", 50)
    sandbox.debited_once()


async def test_what_was_lost_without_a_ceiling_holds_all_of_a_later_one(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    sandbox.inject(Drop(when="after", times=1))
    await run(batch_in(tmp_path, 1), sandbox, ledger, policy=QUICK)
    assert sandbox.books().completions == 1
    larger = batch_in(tmp_path, 20, max_in_flight=8, budget_usd=0.005)
    report = await run(larger, sandbox, ledger, policy=QUICK)
    assert (report.stopped, sandbox.books().completions) == ("BudgetReached", 1)
    await run(batch_in(tmp_path, 20), sandbox, ledger, policy=QUICK)
    assert sandbox.books().completions == 20


@pytest.mark.parametrize("told", [0, 1])
async def test_answers_without_a_receipt_do_not_break_the_ceiling_by_run_after_run(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, told: int
) -> None:
    sandbox.inject(OddReply(shape="receipt_words", skip=told))
    batch = batch_in(tmp_path, 40, max_in_flight=4, budget_usd=0.00012)
    reports = [await run(batch, sandbox, ledger) for _ in range(20)]
    assert reports[0].stopped == "NoReceipts"
    assert reports[-1].stopped == "BudgetReached"
    assert sandbox.books().debited_micro_usd <= micro_usd(0.00012)
    assert reports[-1].overspent_micro_usd == 0
    if not told:
        assert sandbox.books().completions == 1


async def test_a_first_request_that_was_lost_before_the_work_tells_the_price_when_it_is_sent_again(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    sandbox.inject(Drop(when="before", how="reset", times=2))
    report = await run(batch_in(tmp_path, 50, max_in_flight=8, budget_usd=1), sandbox, ledger, policy=QUICK)
    assert (report.status, report.settled) == ("completed", 50)


@pytest.mark.parametrize("debited", [0, 2])
async def test_after_a_kill_before_any_receipt_the_rows_in_doubt_tell_the_price_and_the_batch_goes_on(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, debited: int
) -> None:
    batch = batch_in(tmp_path, 60, max_in_flight=4, budget_usd=0.001, shard_size=25)
    register_rows(batch, ledger)
    claimed = list(ledger.missing(batch.name, 0, 25))[:6]
    ledger.write(batch.name, LedgerWrites(claims=claimed))
    async with AsyncPareta(api_key=sandbox.api_key, base_url=sandbox.base_url) as killed:
        for ask in claimed[:debited]:
            key = idempotency_key(batch.name, ask.key, ask.fingerprint)
            await killed.chat.completions.create(
                model=batch.model, messages=ask.messages, idempotency_key=key, max_tokens=10
            )
    report = await run(batch, sandbox, ledger)
    assert (report.settled, report.stopped) == (60, None)
    assert sandbox.books().debited_micro_usd <= 1000
    sandbox.debited_once()


FAULTS: list[tuple[Fault, ...]] = [
    (Drop(when="after", share=0.3),),
    (Drop(when="after", share=0.2), PriceChange(factor=3, share=0.3)),
    (PriceChange(factor=20, skip=30, times=20), Status(status=500, share=0.2)),
    (PriceChange(factor=0.1, skip=20), Drop(when="in_body", share=0.2)),
    (TruncatedJson(share=0.2), PriceChange(factor=5, skip=40)),
]


@pytest.mark.parametrize("faults", FAULTS)
@pytest.mark.parametrize(
    "sampling", [pytest.param({"max_tokens": 10}, marks=pytest.mark.long), {"max_tokens": 4, "n": 3}]
)
async def test_whatever_is_lost_and_whatever_it_costs_the_report_knows_what_is_above_the_ceiling(
    tmp_path: Path,
    sandbox: Sandbox,
    ledger: Ledger,
    faults: tuple[Fault, ...],
    sampling: dict[str, int],
) -> None:
    for fault in faults:
        sandbox.inject(fault)
    batch = batch_in(tmp_path, 150, max_in_flight=8, budget_usd=0.0006, sampling=sampling)
    overspent, report = await spent(batch, sandbox, ledger, policy=QUICK)
    if overspent > 0:
        assert "above the budget of $0.0006: " in report
    sandbox.debited_once()
