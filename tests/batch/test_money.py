"""Money: ceilings that hold, quotes that say what they are made of, retries of what failed and of nothing else."""

from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pareta_batch.engine.policy import RetryPolicy
from pareta_batch.ledger.ledger import Ledger
from pareta_batch.ledger.queries import Sample
from pareta_batch.money.budget import Budget, Reservation
from pareta_batch.money.prices import Prices
from pareta_batch.quote import quote_from
from pareta_batch.quoting import quote_rows
from pareta_batch.run import retry_failed
from pareta_client import AsyncPareta
from pareta_sandbox.testing import Drop, Sandbox, Status
from tests.batch.batches import batch_in, numbered, read_answers, run


def client(sandbox: Sandbox) -> AsyncPareta:
    return AsyncPareta(api_key=sandbox.api_key, base_url=sandbox.base_url)


MAX_TOKENS = 50
rows = st.lists(
    st.tuples(
        st.integers(4, 4_000),  # bytes of the prompt
        st.floats(0.1, 1),  # tokens a byte
        st.integers(1, MAX_TOKENS),  # tokens of the answer
        st.sampled_from(["paid", "refused", "lost", "lost and paid"]),
    ),
    min_size=1,
    max_size=60,
)


@given(rows, st.integers(1, 8), st.floats(0.01, 3), st.floats(0.01, 3), st.integers(0, 500), st.integers(0, 100))
def test_a_ceiling_is_never_overshot_by_concurrent_calls_retries_or_lost_answers(
    work: list[tuple[int, float, int, str]],
    in_flight: int,
    prompt_rate: float,
    answer_rate: float,
    ceiling_in_rows: int,
    injected_tokens: int,
) -> None:
    def cost(size: int, share: float, answer: int) -> int:
        return max(1, -(-int((tokens(size, share) * prompt_rate + answer * answer_rate) * 1000) // 1000))

    def tokens(size: int, share: float) -> int:
        return max(1, int(size * share)) + injected_tokens

    first = cost(*work[0][:3])
    budget = Budget(ceiling=first + ceiling_in_rows * 10, max_tokens=MAX_TOKENS)
    really_debited = 0
    flying: list[tuple[Reservation, tuple[int, float, int, str]]] = []

    def land() -> None:
        nonlocal really_debited
        reservation, (size, share, answer, end) = flying.pop(0)
        billed = cost(size, share, answer)
        if end in ("paid", "lost and paid"):
            really_debited += billed
        if end == "paid":
            budget.paid(reservation, billed, tokens(size, share), answer)
        elif end == "refused":
            budget.not_paid(reservation)
        else:
            budget.doubtful(reservation)
        assert really_debited <= budget.ceiling

    # Until a receipt told the price nothing can be said of a lost answer.
    work[0] = (*work[0][:3], "paid")
    for row in work:
        while not isinstance(reservation := budget.reserve(row[0]), Reservation) and flying:
            land()
        if not isinstance(reservation, Reservation):
            break
        flying.append((reservation, row))
        if len(flying) >= in_flight:
            land()
    while flying:
        land()


async def test_a_budget_is_kept_and_a_larger_one_continues(tmp_path: Path, sandbox: Sandbox, ledger: Ledger) -> None:
    sandbox.inject(Drop(when="after", times=3, skip=5))
    batch = batch_in(tmp_path, 200, max_in_flight=8, budget_usd=0.0005)
    report = await run(batch, sandbox, ledger)
    assert (report.stopped, report.status) == ("BudgetReached", "stopped")
    assert 200 < sandbox.books().debited_micro_usd <= 500
    before = sandbox.books()
    assert (await run(batch, sandbox, ledger)).stopped == "BudgetReached"
    assert sandbox.books().debited_micro_usd <= max(500, before.debited_micro_usd)
    assert (await run(batch_in(tmp_path, 200, budget_usd=1), sandbox, ledger)).status == "completed"
    sandbox.debited_once()


def test_a_budget_without_bounded_answers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=r"budget_usd needs sampling\.max_tokens"):
        batch_in(tmp_path, budget_usd=1, sampling={})


def test_prices_are_bounds_that_every_receipt_tightens() -> None:
    prices = Prices().learn(10, 10, 5).learn(30, 100, 1)
    assert (prices.prompt, prices.completion) == (Fraction(3, 10), Fraction(2))
    assert prices.learn(0, 10, 5) == prices.learn(None, 10, 5) == prices, "a replay says nothing"
    assert Prices().of_requests(1, 100, 10) is None


async def test_a_quote_from_the_leaderboard_sends_no_completion(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    told = await quote_rows(batch_in(tmp_path, 100), client(sandbox), ledger)
    assert (told.basis, told.to_send) == ("leaderboard", 100)
    assert "100 of 100 rows to send; about $" in str(told)
    assert sandbox.books().completions_seen == 0


async def test_a_pilot_is_part_of_the_batch_and_its_receipts_bound_the_rest(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    rows = [{**row, "text": f"{n:03d} " + "invoice " * (n % 40)} for n, row in enumerate(numbered(300), 1)]
    batch = batch_in(tmp_path, rows)
    told = await quote_rows(batch, client(sandbox), ledger, pilot=40)
    sandbox.completed(40)
    assert (told.basis, told.total, told.to_send) == ("receipts", 300, 260)
    paid = sandbox.books().debited_micro_usd
    await run(batch, sandbox, ledger)
    sandbox.completed(300)
    assert told.low_micro_usd is not None
    assert told.high_micro_usd is not None
    assert told.low_micro_usd <= sandbox.books().debited_micro_usd - paid <= told.high_micro_usd


def test_without_receipts_and_leaderboard_the_cost_is_unknown(tmp_path: Path) -> None:
    told = quote_from(batch_in(tmp_path, 3), 3, 3, Sample(0, 0, 0, 0), None)
    assert told.likely_micro_usd is None
    assert "cost unknown" in str(told)


async def test_failed_rows_are_sent_again_by_error_class_without_the_dataset(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    sandbox.inject(Status(status=500, times=2))
    sandbox.inject(Status(status=422, times=1, skip=2))
    batch = batch_in(tmp_path, 10)
    assert (await run(batch, sandbox, ledger, policy=RetryPolicy(max_transient_failures=1))).failed == 3
    Path(str(batch.dataset)).unlink()
    report = await retry_failed(batch, client(sandbox), ledger)
    assert report.errors == {"BadRequestError": 1}, "only what may pass was sent again"
    report = await retry_failed(batch, client(sandbox), ledger, ["AuthenticationError"])
    assert report.failed == 1
    report = await retry_failed(batch, client(sandbox), ledger, ["BadRequestError"])
    assert (report.settled, report.failed) == (10, 0)
    sandbox.debited_once()


async def test_an_old_error_stays_until_the_new_outcome_is_in(tmp_path: Path, sandbox: Sandbox, ledger: Ledger) -> None:
    fault = sandbox.inject(Status(status=500, detail="first"))
    batch = batch_in(tmp_path, 3)
    await run(batch, sandbox, ledger, policy=RetryPolicy(max_transient_failures=1))
    sandbox.remove(fault)
    sandbox.set_balance(0)
    report = await retry_failed(batch, client(sandbox), ledger)
    assert report.stopped == "InsufficientCreditsError"
    assert report.errors == {"APIStatusError": 3}
    assert [row["error"] for row in read_answers(batch)] == ["APIStatusError: first"] * 3
