"""Answers, ceilings, replays and quotes hold for every kind of request."""

from pathlib import Path

import pytest

from pareta_batch.ledger.ledger import Ledger
from pareta_batch.money.budget import micro_usd
from pareta_batch.quoting import quote_rows
from pareta_client import AsyncPareta
from pareta_sandbox.testing import Drop, Sandbox, running
from tests.batch.batches import QUICK, ledger_in, read_answers, run
from tests.batch.kinds import KINDS, OF_SEVERAL_REQUESTS, WITH_FILES, batch_of, team_of
from tests.batch.test_ask_again import notices
from tests.grids import first_of

ROWS = 24

FIRST = ("schema", "duplicates")
every_kind = pytest.mark.parametrize("kind", KINDS)
"""The other kinds run with `long` where a test repeats whole batches."""
most_kinds = pytest.mark.parametrize(
    "kind",
    [kind if kind in FIRST else pytest.param(kind, marks=pytest.mark.long) for kind in KINDS | OF_SEVERAL_REQUESTS],
)


@every_kind
async def test_every_row_is_answered_from_what_it_asks_and_paid_once(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, kind: str
) -> None:
    batch = batch_of(kind, tmp_path, ROWS, budget_usd=20)
    report = await run(batch, sandbox, ledger)
    assert (report.status, report.settled) == ("completed", ROWS), report
    assert {team_of(row) for row in read_answers(batch)} == {"billing"}
    assert report.price_rise is None, "the bound of the first receipts holds for all of them"
    before = sandbox.books()
    assert (await run(batch, sandbox, ledger)).settled == ROWS
    assert sandbox.books().completions == before.completions == ROWS
    sandbox.debited_once()


@most_kinds
async def test_lost_answers_are_replayed_and_no_ceiling_is_exceeded(tmp_path: Path, kind: str) -> None:
    with running() as sandbox:
        free = ledger_in(tmp_path)
        await run(batch_of(kind, tmp_path, ROWS, output=str(tmp_path / "free.jsonl")), sandbox, free)
        free.close()
        cost = sandbox.books().debited_micro_usd
    (tmp_path / "ledger.db").unlink()
    # Half of the rows, and the reservations of those in flight: files reserve the highest count of tokens.
    reserved = 60_000 / 100 if kind in WITH_FILES else 4
    budget = (cost / 2 + reserved * cost / ROWS) / 1e6
    with running() as sandbox:
        sandbox.inject(Drop(when="after", share=0.3))
        ledger = ledger_in(tmp_path)
        batch = batch_of(kind, tmp_path, ROWS, budget_usd=budget)
        for _ in range(2):
            report = await run(batch, sandbox, ledger, policy=QUICK)
        if kind not in WITH_FILES:
            assert report.stopped == "BudgetReached"
        debited = sandbox.books().debited_micro_usd
        assert debited <= micro_usd(budget)
        assert report.billed_micro_usd is not None
        assert report.replayed_at_most_micro_usd is not None
        lost = report.replayed_at_most_micro_usd + (report.unknown_at_most_micro_usd or 0)
        assert report.billed_micro_usd <= debited <= report.billed_micro_usd + lost
        sandbox.debited_once()
        ledger.close()


@most_kinds
async def test_a_quote_after_a_pilot_contains_the_bill(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, kind: str
) -> None:
    batch = batch_of(kind, tmp_path, 60)
    client = AsyncPareta(api_key=sandbox.api_key, base_url=sandbox.base_url)
    quote = await quote_rows(batch, client, ledger, pilot=20)
    sandbox.completed(20 * (2 if kind == "schema" else 1))
    before = sandbox.books().debited_micro_usd
    await run(batch, sandbox, ledger)
    paid = sandbox.books().debited_micro_usd - before
    assert quote.cost is not None
    assert quote.cost.low <= paid <= quote.cost.high


@pytest.mark.parametrize("ask_again", first_of([2, 0]))
async def test_a_quote_of_answers_with_a_schema_contains_the_bill_of_all_turns(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, ask_again: int
) -> None:
    # Every first answer of this model is a misfit: with ask_again, each row has two turns.
    batch = notices(tmp_path, 60, ask_again=ask_again)
    client = AsyncPareta(api_key=sandbox.api_key, base_url=sandbox.base_url)
    quote = await quote_rows(batch, client, ledger, pilot=20)
    turns = 2 if ask_again else 1
    sandbox.completed(20 * turns)
    before = sandbox.books().debited_micro_usd
    report = await run(batch, sandbox, ledger)
    assert (report.settled, report.asked_again) == (60, 60 if ask_again else 0)
    paid = sandbox.books().debited_micro_usd - before
    assert quote.cost is not None
    assert quote.cost.low <= paid <= quote.cost.high
    sandbox.debited_once()
