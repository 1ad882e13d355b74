"""Asking again for an answer that does not fit: bounded, durable between the turns, each turn paid once."""

import json
from pathlib import Path
from typing import Any

import pytest

from pareta_batch.ledger.ledger import Ledger
from pareta_batch.money.budget import micro_usd
from pareta_batch.rows.identity import idempotency_key
from pareta_batch.rows.requests import RowRequest
from pareta_batch.rows.turns import Turn, request_after, turns_of, turns_text
from pareta_batch.spec import Batch
from pareta_sandbox.testing import Drop, Sandbox, Status
from tests.batch.batches import QUICK, batch_in, mostly_on_sqlite, on_both_databases, read_answers, run, until
from tests.batch.processes import running_elsewhere
from tests.grids import extremes

# The models of the sandbox answer the year as text; after a complaint they answer what the schema asks for.
YEAR: dict[str, Any] = {
    "type": "object",
    "properties": {"copyright_holder": {"type": ["string", "null"]}, "year": {"type": "integer"}},
    "required": ["year"],
}
IMPOSSIBLE: dict[str, Any] = {
    **YEAR,
    "properties": {**YEAR["properties"], "year": {"type": "integer", "minimum": 9999}},
}


def notices(folder: Path, count: int, **changes: Any) -> Batch:
    rows: list[dict[str, object]] = [{"id": f"r{n}", "text": f"Copyright (c) 20{n + 10} Ada"} for n in range(count)]
    given: dict[str, Any] = {"model": "ep_seed_contracts", "prompt": "Extract copyright holder and year.\n\n{text}"}
    given |= {"sampling": {"max_tokens": 90}, "answer_schema": YEAR, "ask_again": 2}
    return batch_in(folder, rows, **{**given, **changes})


@on_both_databases
async def test_an_answer_that_does_not_fit_is_asked_for_again(tmp_path: Path, sandbox: Sandbox, ledger: Ledger) -> None:
    batch = notices(tmp_path, 3, budget_usd=1)
    report = await run(batch, sandbox, ledger)
    assert (report.status, report.flagged, report.asked_again) == ("completed", {}, 3)
    rows = read_answers(batch)
    assert [row["answer.year"] for row in rows] == [2010, 2011, 2012]
    assert rows[0]["notes"] == "asked again 1 time: at $.year: '2010' is not of type 'integer'"
    sandbox.completed(6)
    sandbox.debited_once()
    debits = [debit.amount_micro_usd for debit in sandbox.books().debits]
    assert report.billed_micro_usd == sum(debits)
    assert report.this_run is not None
    assert (report.this_run.settled, report.this_run.billed_micro_usd) == (3, sum(debits))
    assert 0 < report.asked_again_micro_usd < sum(debits)
    assert "3 rows asked again, for $" in str(report)
    await run(batch, sandbox, ledger)
    sandbox.completed(6)


async def test_by_default_it_is_kept_with_a_flag(tmp_path: Path, sandbox: Sandbox, ledger: Ledger) -> None:
    report = await run(notices(tmp_path, 2, ask_again=0), sandbox, ledger)
    assert (report.flagged, report.asked_again, report.asked_again_micro_usd) == ({"misfit": 2}, 0, 0)
    sandbox.completed(2)


@pytest.mark.parametrize("again", [1, 2, 3])
async def test_the_number_of_turns_is_bounded_and_the_last_answer_is_kept(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, again: int
) -> None:
    batch = notices(tmp_path, 1, answer_schema=IMPOSSIBLE, ask_again=again)
    report = await run(batch, sandbox, ledger)
    assert (report.settled, report.flagged) == (1, {"misfit": 1})
    sandbox.completed(1 + again)
    (row,) = read_answers(batch)
    assert json.loads(row["answer"])["year"] == 2010, "the last answer has a number"
    assert row["answer.year"] is None
    outcome = ledger.outcomes_of("test", ["r0"])["r0"]
    turns = turns_of(outcome.turns)
    assert len(turns) == again
    assert all(turn.prompt_tokens for turn in turns), "every paid answer is kept, with its own tokens"
    earlier = [turn.prompt_tokens or 0 for turn in turns]
    assert earlier == sorted(set(earlier)), "the conversation grows"
    assert report.prompt_tokens - sum(earlier) > earlier[-1]


@pytest.mark.parametrize("kill_at", extremes(range(7)))
@mostly_on_sqlite
async def test_killed_at_any_point_no_turn_is_paid_twice(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, ledger_url: str, kill_at: int
) -> None:
    sandbox.change(latency_ms=15)
    batch = notices(tmp_path, 3, max_in_flight=1)
    with running_elsewhere(batch, sandbox, ledger_url) as process:
        await until(lambda: sandbox.books().completions >= kill_at or not process.is_alive(), within_s=60)
    await until(lambda: sandbox.books().in_flight == 0)
    sandbox.change(latency_ms=0)
    report = await run(batch, sandbox, ledger)
    assert (report.status, report.flagged) == ("completed", {})
    sandbox.completed(6)
    sandbox.debited_once()
    assert report.billed_micro_usd is not None
    assert report.replayed_at_most_micro_usd is not None
    debited = sandbox.books().debited_micro_usd
    assert report.billed_micro_usd <= debited <= report.billed_micro_usd + report.replayed_at_most_micro_usd


async def test_lost_answers_between_the_turns_break_no_ceiling(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    sandbox.inject(Drop(when="after", share=0.3))
    batch = notices(tmp_path, 20, budget_usd=0.002)
    for _ in range(3):
        report = await run(batch, sandbox, ledger, policy=QUICK)
    debited = sandbox.books().debited_micro_usd
    assert debited <= micro_usd(0.002)
    lost = (report.replayed_at_most_micro_usd or 0) + (report.unknown_at_most_micro_usd or 0)
    assert (report.billed_micro_usd or 0) <= debited <= (report.billed_micro_usd or 0) + lost
    sandbox.debited_once()


async def test_a_turn_that_is_refused_leaves_the_paid_answer(tmp_path: Path, sandbox: Sandbox, ledger: Ledger) -> None:
    sandbox.inject(Status(status=400, skip=1))
    batch = notices(tmp_path, 1)
    report = await run(batch, sandbox, ledger)
    assert (report.settled, report.flagged) == (1, {"misfit": 1})
    (row,) = read_answers(batch)
    assert json.loads(row["answer"])["year"] == "2010"
    assert "asking again failed: BadRequestError" in row["notes"]
    assert report.billed_micro_usd == sandbox.books().debited_micro_usd


async def test_a_turn_that_fails_for_now_is_sent_in_the_next_run(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    fault = sandbox.inject(Status(status=500, skip=1))
    batch = notices(tmp_path, 1)
    assert (await run(batch, sandbox, ledger, policy=QUICK)).failed == 1
    sandbox.remove(fault)
    report = await run(batch, sandbox, ledger, policy=QUICK)
    assert (report.status, report.flagged) == ("completed", {})
    sandbox.completed(2)
    assert report.billed_micro_usd == sandbox.books().debited_micro_usd


def test_without_a_schema_there_is_nothing_to_ask_again_for(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="ask_again needs a schema"):
        batch_in(tmp_path, ask_again=1)


def test_each_turn_has_an_idempotency_key_of_its_own() -> None:
    request = RowRequest(0, "r0", "f", ({"role": "user", "content": "x"},))
    turns = [Turn("a", "p"), Turn("b", "q")]
    asked = [request_after(request, turns[:count]) for count in range(3)]
    keys = [idempotency_key("test", each.key, each.fingerprint) for each in asked]
    assert len(set(keys)) == 3
    assert keys[1:] == [
        "pb1-5859c52bd67522f1a9323e018150d97468935bca990bf2d442ac819443ebcb80",
        "pb1-9a61d8c873394cf70df7c6a37be28a86093075d5651131e64aa945def5b9d935",
    ]
    assert [message["role"] for message in asked[2].messages] == ["user", "assistant", "user", "assistant", "user"]
    assert turns_of(turns_text(turns)) == tuple(turns)
