"""Quotes are kept in the ledger, checked against what was paid, and counted."""

from pathlib import Path

import sqlalchemy as sa

from pareta_batch.engine.policy import RetryPolicy
from pareta_batch.ledger.kept_quotes import (
    CHECKED_QUOTES,
    HitRate,
    Quoted,
    check_batch_quote,
    check_comparison_quote,
    hit_rate,
    keep_quote,
)
from pareta_batch.ledger.ledger import Ledger
from pareta_batch.ledger.outcomes import Tally
from pareta_batch.ledger.schema import quotes
from pareta_batch.money import CostRange
from pareta_batch.quoting import quote_rows
from pareta_client import AsyncPareta
from pareta_sandbox.testing import Sandbox, Status
from tests.batch.batches import batch_in, numbered, run


def client(sandbox: Sandbox) -> AsyncPareta:
    return AsyncPareta(api_key=sandbox.api_key, base_url=sandbox.base_url)


def quoted(name: str = "test", low: int = 50, high: int = 150, **fields: object) -> Quoted:
    given = {"kind": "batch", "basis": "receipts", "rows": 10, **fields}
    return Quoted(name=name, cost=CostRange(low, (low + high) // 2, high), **given)  # type: ignore[arg-type]


def paid(ledger: Ledger) -> list[tuple[str, int | None]]:
    with ledger.transaction() as db:
        return [(name, cost) for name, cost in db.execute(sa.select(quotes.c.name, quotes.c.paid_micro_usd))]


async def test_a_quote_is_checked_against_what_the_run_paid_and_the_next_one_says_so(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    batch = batch_in(tmp_path, 60)
    first = await quote_rows(batch, client(sandbox), ledger, pilot=20)
    assert (first.basis, first.checked) == ("receipts", 0)
    before = sandbox.books().debited_micro_usd
    await run(batch, sandbox, ledger)
    assert paid(ledger) == [("test", sandbox.books().debited_micro_usd - before)]
    (tmp_path / "more").mkdir()
    more = batch_in(tmp_path / "more", 90, name="more")
    told = await quote_rows(more, client(sandbox), ledger, pilot=20)
    assert (told.held, told.checked) == (1, 1)
    assert str(told).endswith("; of the last 1 quotes 1 held")


async def test_a_quote_waits_until_each_row_that_it_was_for_is_answered(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    batch = batch_in(tmp_path, 30)
    await quote_rows(batch, client(sandbox), ledger, pilot=10)
    sandbox.inject(Status(status=500, times=2))
    assert (await run(batch, sandbox, ledger, policy=RetryPolicy(max_transient_failures=1))).settled < 30
    assert paid(ledger) == [("test", None)]
    assert (await run(batch, sandbox, ledger, policy=RetryPolicy(max_transient_failures=1))).settled == 30
    assert None not in dict(paid(ledger)).values()


async def test_rows_that_are_added_after_a_quote_are_not_counted_against_it(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    await quote_rows(batch_in(tmp_path, 30), client(sandbox), ledger, pilot=10)
    await run(batch_in(tmp_path, numbered(40)), sandbox, ledger)
    assert paid(ledger) == [("test", None)]


def test_of_quotes_of_the_same_work_the_last_one_before_the_run_counts(ledger: Ledger) -> None:
    keep_quote(ledger, quoted(low=1, high=2))
    keep_quote(ledger, quoted(low=90, high=110))
    check_batch_quote(ledger, "test", Tally(settled=10, billed_micro_usd=100))
    assert (paid(ledger), hit_rate(ledger, "batch", "receipts")) == ([("test", 100)], HitRate(1, 1))


def test_a_quote_outside_which_the_bill_lies_did_not_hold(ledger: Ledger) -> None:
    keep_quote(ledger, quoted(settled_before=5, billed_before=500))
    check_batch_quote(ledger, "test", Tally(settled=15, billed_micro_usd=660))
    assert str(hit_rate(ledger, "batch", "receipts")) == "of the last 1 quotes 0 held"


def test_only_the_latest_quotes_of_one_basis_count(ledger: Ledger) -> None:
    for number in range(CHECKED_QUOTES + 3):
        keep_quote(ledger, quoted(name=f"b{number}"))
        check_batch_quote(ledger, f"b{number}", Tally(settled=10, billed_micro_usd=100 if number >= 4 else 1))
    keep_quote(ledger, quoted(name="other", basis="leaderboard"))
    check_batch_quote(ledger, "other", Tally(settled=10, billed_micro_usd=1))
    assert hit_rate(ledger, "batch", "receipts") == HitRate(CHECKED_QUOTES - 1, CHECKED_QUOTES)
    assert hit_rate(ledger, "batch", "leaderboard") == HitRate(0, 1)


def test_a_comparison_of_other_models_does_not_check_the_quote(ledger: Ledger) -> None:
    keep_quote(ledger, quoted(kind="comparison", basis="leaderboard", subject="two models"))
    check_comparison_quote(ledger, "test", "three models", 100)
    assert hit_rate(ledger, "comparison", "leaderboard") == HitRate()
    check_comparison_quote(ledger, "test", "two models", 100)
    assert hit_rate(ledger, "comparison", "leaderboard") == HitRate(1, 1)
