"""Nothing is bought twice: equal requests share one answer, and unused columns may change."""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from pareta_batch.engine.planning import register_rows
from pareta_batch.ledger.ledger import Ledger
from pareta_batch.ledger.schema import rows as rows_table
from pareta_batch.ledger.sharing import Sharing
from pareta_batch.ledger.writes import LedgerWrites
from pareta_batch.quoting import quote_rows
from pareta_batch.reuse import Reuse
from pareta_batch.rows.identity import idempotency_key
from pareta_batch.rows.requests import RowRequest, row_requests
from pareta_batch.rows.share_scope import scope_of
from pareta_batch.run import retry_failed
from pareta_batch.samples import sample_answers
from pareta_batch.sampling import Sampling
from pareta_client import AsyncPareta
from pareta_sandbox.testing import Sandbox, Status
from tests.batch.batches import (
    ENDPOINT,
    answered,
    batch_in,
    failed,
    mostly_on_sqlite,
    on_both_databases,
    read_answers,
    run,
    until,
)
from tests.batch.processes import running_elsewhere
from tests.examples import share_of

SHARED = Sharing(within_batch=True)
MOVED = Sharing(moves=True)


def client_of(sandbox: Sandbox) -> AsyncPareta:
    return AsyncPareta(api_key=sandbox.api_key, base_url=sandbox.base_url)


Rows = list[dict[str, object]]


def texts(count: int, distinct: int) -> list[dict[str, object]]:
    return [{"id": f"r{n}", "text": f"My invoice number {n % distinct} is wrong."} for n in range(count)]


def requests(works: Sequence[str], prefix: str = "r", scope: Any = "ledger") -> list[RowRequest]:
    return [
        RowRequest(at, f"{prefix}{at}", work, ({"role": "user", "content": work},), scope=scope)
        for at, work in enumerate(works)
    ]


def missing(ledger: Ledger, batch: str = "test") -> list[RowRequest]:
    return list(ledger.missing(batch, 0, 10_000))


@on_both_databases
async def test_equal_requests_are_asked_once_and_share_the_answer(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    batch = batch_in(tmp_path, texts(12, 5), budget_usd=1)
    report = await run(batch, sandbox, ledger)
    assert (report.status, report.settled, report.distinct, report.copied) == ("completed", 12, 5, 7)
    sandbox.completed(5)
    debits = [debit.amount_micro_usd for debit in sandbox.books().debits]
    assert report.billed_micro_usd == sum(debits)
    assert report.saved_micro_usd > 0
    assert "5 of 12 rows are distinct" in str(report)
    answers = {row["id"]: row for row in read_answers(batch)}
    for number in range(12):
        row, original = answers[f"r{number}"], answers[f"r{number % 5}"]
        assert (row["answer"], row["request_id"]) == (original["answer"], original["request_id"])
        assert (row["billed_micro_usd"] == 0, row["notes"]) == (
            (False, None) if number < 5 else (True, f"copied from r{number % 5}")
        )
    saved = sum(answers[f"r{number % 5}"]["billed_micro_usd"] for number in range(5, 12))
    assert report.saved_micro_usd == saved
    before = sandbox.books()
    again = await run(batch, sandbox, ledger)
    assert (again.settled, again.saved_micro_usd) == (12, saved)
    sandbox.silent_since(before)


@pytest.mark.parametrize(
    ("changes", "sent"),
    [
        ({}, 2),
        ({"sampling": Sampling(max_tokens=10, temperature=0)}, 2),
        ({"sampling": Sampling(max_tokens=10, temperature=0.5)}, 6),
        ({"sampling": Sampling(max_tokens=10, temperature=0.5, seed=1)}, 6),
        ({"sampling": Sampling(max_tokens=10, extra_body={"temperature": 0.5})}, 6),
        ({"sampling": Sampling(max_tokens=10, temperature=0.5), "reuse": {"duplicates": True}}, 2),
        ({"reuse": {"duplicates": False}}, 6),
        ({"sampling_columns": {"temperature": "heat"}}, 5),
        ({"sampling_columns": {"seed": "number"}}, 6),
    ],
)
def test_the_sampling_and_the_spec_decide_what_is_shared(
    tmp_path: Path, ledger: Ledger, changes: dict[str, Any], sent: int
) -> None:
    rows = [{**row, "heat": 1 if n < 3 else 0, "number": n} for n, row in enumerate(texts(6, 2))]
    plan = register_rows(batch_in(tmp_path, rows, **changes), ledger)
    assert plan.to_send == sent == 6 - plan.copies
    if sent == 2:
        assert str(plan).startswith("6 rows; 2 of 6 rows are distinct; 2 to send")


works = st.lists(st.sampled_from("uvwx"), min_size=1, max_size=7)


@settings(max_examples=share_of(25), deadline=None)
@given(st.lists(st.tuples(works, st.sets(st.integers(0, 6)), st.sets(st.integers(0, 6))), min_size=1, max_size=4))
def test_after_any_edits_and_stops_each_request_is_paid_once_and_each_row_gets_its_answer(
    edits: list[tuple[list[str], set[int], set[int]]],
) -> None:
    """Rows of any datasets; in each run some answers are durable, some requests are lost in a kill."""
    ledger = Ledger.open("sqlite://")
    in_doubt: set[str] = set()
    for dataset, durable, lost in edits:
        ledger.register_rows("test", requests(dataset), SHARED)
        to_send = missing(ledger)
        for at, each in enumerate(to_send):
            if at in durable:
                ledger.record("test", [answered(each.key, each.fingerprint, answer=each.fingerprint)])
            elif at in lost:
                ledger.write("test", LedgerWrites(claims=[each]))
                in_doubt.add(each.fingerprint)
    ledger.register_rows("test", requests(dataset), SHARED)
    last = missing(ledger)
    for each in last:
        ledger.record("test", [answered(each.key, each.fingerprint, answer=each.fingerprint)])
    ledger.settle_copies("test")
    found = ledger.outcomes_of("test", [f"r{at}" for at in range(7)])
    assert [found[f"r{at}"].answer for at in range(len(dataset))] == dataset
    with ledger.transaction() as db:
        billed = db.execute(
            sa.select(rows_table.c.fingerprint, rows_table.c.key).where(rows_table.c.billed_micro_usd > 0)
        ).all()
    # A request in doubt is sent again under its own key, also if another row has the answer by then.
    for work, count in Counter(work for work, _ in billed).items():
        assert count == 1 or work in in_doubt
    ledger.close()


@on_both_databases
@pytest.mark.parametrize("kind", ["claimed", "second turn"])
def test_a_request_in_doubt_that_left_the_dataset_is_taken_over_by_a_row_with_the_same_request(
    ledger: Ledger, kind: str
) -> None:
    """Also by a row that was a copy of it: in all cases one request is sent, under the key of the first one."""
    ledger.register_rows("test", requests(["u", "u"]), SHARED)
    if kind == "claimed":
        ledger.write("test", LedgerWrites(claims=missing(ledger)))
    else:
        ledger.record("test", [failed("r0", "u", retryable=True, turns="[]", billed_micro_usd=5)])
    for dataset, key in ((requests(["w", "u"]), "r1"), (requests(["u", "u", "w"], prefix="s"), "s0")):
        ledger.register_rows("test", dataset, SHARED)
        (sent,) = (each for each in missing(ledger) if each.fingerprint == "u")
        assert (sent.key, sent.sent_as, sent.in_doubt) == (key, "r0", kind == "claimed")
        tally = ledger.tally("test")
        assert (tally.unknown, tally.superseded_unknown) == (int(kind == "claimed"), 0)
    ledger.register_rows("test", requests(["v"]), SHARED)
    tally = ledger.tally("test")
    assert (tally.superseded_unknown, tally.superseded_micro_usd) == ((1, 0) if kind == "claimed" else (0, 5))


def test_a_request_in_doubt_is_not_taken_over_where_an_answer_exists_or_rows_share_nothing(ledger: Ledger) -> None:
    ledger.register_rows("test", requests(["u", "u"]))
    first, second = missing(ledger)
    ledger.write("test", LedgerWrites(claims=[first], outcomes=[answered(second.key, "u")]))
    ledger.register_rows("test", requests(["u"], prefix="s"), SHARED)
    assert missing(ledger) == [], "it is a copy of the answer"
    ledger.register_rows("other", requests(["v"], scope="row"), SHARED)
    ledger.write("other", LedgerWrites(claims=missing(ledger, "other")))
    ledger.register_rows("other", requests(["v"], prefix="s", scope="row"), SHARED)
    (sent,) = missing(ledger, "other")
    assert (sent.key, sent.sent_as, sent.in_doubt) == ("s0", None, False)


async def test_a_paid_request_whose_row_left_the_dataset_is_not_bought_again(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    register_rows(batch_in(tmp_path, texts(1, 1)), ledger)
    (ask,) = missing(ledger)
    ledger.write("test", LedgerWrites(claims=[ask]))
    async with client_of(sandbox) as client:  # the answer is lost in a kill
        key = idempotency_key("test", ask.key, ask.fingerprint)
        await client.chat.completions.create(
            model=ENDPOINT, messages=list(ask.messages), max_tokens=10, idempotency_key=key
        )
    renamed = [{**row, "id": "renamed"} for row in texts(1, 1)]
    report = await run(batch_in(tmp_path, renamed), sandbox, ledger)
    assert (report.settled, report.replayed) == (1, 1)
    sandbox.completed(1)
    sandbox.debited_once()


async def test_after_a_kill_the_debits_are_the_distinct_requests(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    sandbox.change(latency_ms=20)
    batch = batch_in(tmp_path, texts(90, 40), max_in_flight=4)
    with running_elsewhere(batch, sandbox, f"sqlite:///{tmp_path / 'ledger.db'}"):
        await until(lambda: sandbox.books().completions >= 15, within_s=60)
    await until(lambda: sandbox.books().in_flight == 0)
    report = await run(batch, sandbox, ledger)
    assert (report.status, report.settled, report.copied) == ("completed", 90, 50)
    sandbox.completed(40)
    sandbox.debited_once()
    by_text: dict[str, set[str]] = {}
    for row in read_answers(batch):
        by_text.setdefault(row["text"], set()).add(row["request_id"])
    assert all(len(ids) == 1 for ids in by_text.values())


@on_both_databases
async def test_a_failed_original_fails_its_copies_and_is_retried_once(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    fault = sandbox.inject(Status(status=400, detail="too long"))
    batch = batch_in(tmp_path, texts(6, 2))
    first = await run(batch, sandbox, ledger)
    assert (first.failed, first.pending, first.errors) == (6, 0, {"BadRequestError": 6})
    assert sandbox.books().completions_seen == 2
    sandbox.remove(fault)
    report = await retry_failed(batch, client_of(sandbox), ledger, errors=["BadRequestError"])
    assert (report.settled, report.failed, report.copied) == (6, 0, 4)
    sandbox.completed(2)


async def test_a_quote_and_its_check_count_distinct_requests(tmp_path: Path, sandbox: Sandbox, ledger: Ledger) -> None:
    batch = batch_in(tmp_path, texts(40, 10))
    quote = await quote_rows(batch, client_of(sandbox), ledger, pilot=5)
    assert (quote.total, quote.to_send, quote.copies) == (40, 5, 30)
    assert "10 of 40 rows are distinct; saves about $" in str(quote)
    await run(batch, sandbox, ledger)
    assert (await quote_rows(batch, client_of(sandbox), ledger)).to_send == 0
    with ledger.transaction() as db:
        assert db.execute(sa.text("SELECT count(*) FROM quotes WHERE paid_micro_usd IS NOT NULL")).scalar() == 1


async def test_a_budget_for_the_distinct_requests_is_enough(tmp_path: Path, sandbox: Sandbox, ledger: Ledger) -> None:
    alone = await run(batch_in(tmp_path, texts(2, 2), name="alone", output=str(tmp_path / "a.jsonl")), sandbox, ledger)
    assert alone.billed_micro_usd is not None
    budget = 12 * alone.billed_micro_usd / 1_000_000
    report = await run(batch_in(tmp_path, texts(60, 2), budget_usd=budget, max_in_flight=1), sandbox, ledger)
    assert (report.status, report.settled, report.overspent_micro_usd) == ("completed", 60, 0)


async def test_a_sample_of_copies_sends_the_rows_that_they_are_copies_of(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    batch = batch_in(tmp_path, [{"id": f"r{n}", "text": "same" if n % 2 else f"text {n}"} for n in range(4)])
    report = await sample_answers(batch, client_of(sandbox), ledger, 4)
    assert (report.sent, report.failed, len(report.rows)) == (3, 0, 4)
    other = batch_in(tmp_path, [{"id": f"r{n}", "text": "no" if n else "yes"} for n in range(4)], name="other")
    found = await sample_answers(other, client_of(sandbox), ledger, 2)
    assert (found.sent, found.failed) == (2, 0)


@on_both_databases
async def test_answers_of_other_batches_are_taken_over_while_they_are_young(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    first = await run(batch_in(tmp_path, texts(4, 4), name="first"), sandbox, ledger)
    given: dict[str, Any] = {"rows": texts(9, 6), "name": "second", "output": str(tmp_path / "second.jsonl")}
    assert register_rows(batch_in(tmp_path, **given), ledger).to_send == 6, "not without reuse.max_age"
    second = batch_in(tmp_path, **given, reuse={"max_age": "7d"})
    plan = register_rows(second, ledger)
    assert (plan.to_send, plan.reused, plan.copies) == (2, 4, 3)
    assert "4 answers taken over from other batches" in str(plan)
    report = await run(second, sandbox, ledger)
    assert (report.settled, report.reused, report.copied) == (9, 4, 7)
    sandbox.completed(6)
    answers = read_answers(second)
    assert answers[0]["notes"] == "reused from batch first, row r0"
    assert answers[6]["notes"].startswith("copied from r0")
    assert {row["request_id"] for row in answers} == {each.request_id for each in outcomes(ledger, "first", 4)} | {
        each.request_id for each in outcomes(ledger, "second", 6)[4:]
    }
    assert first.billed_micro_usd is not None
    assert report.saved_micro_usd >= first.billed_micro_usd
    with ledger.transaction() as db:
        db.exec_driver_sql("UPDATE rows SET updated_at = '2020-01-01 00:00:00.000000'")
    third = batch_in(tmp_path, texts(4, 4), name="third", output=str(tmp_path / "3.jsonl"), reuse={"max_age": "7d"})
    assert register_rows(third, ledger).to_send == 4, "too old"


def outcomes(ledger: Ledger, batch: str, count: int) -> list[Any]:
    found = ledger.outcomes_of(batch, [f"r{n}" for n in range(count)])
    return [found[f"r{n}"] for n in range(count)]


def test_a_copy_is_no_younger_than_its_original_and_misfits_are_not_taken_over(ledger: Ledger) -> None:
    young = Sharing(within_batch=True, max_age=timedelta(days=7))
    ledger.register_rows("a", requests(["u", "v"]))
    one, other = missing(ledger, "a")
    ledger.record("a", [answered(one.key, "u"), answered(other.key, "v", flag="misfit")])
    assert ledger.register_rows("b", requests(["u", "v"]), young).reused == 1
    with ledger.transaction() as db:
        db.exec_driver_sql("UPDATE rows SET updated_at = '2020-01-01 00:00:00.000000' WHERE batch = 'a'")
    assert ledger.register_rows("c", requests(["u", "v"]), young).reused == 0
    assert [each.fingerprint for each in missing(ledger, "b")] == ["v"]


@pytest.mark.parametrize("scope", ["row", "batch", "ledger"])
def test_a_scope_bounds_what_a_row_shares(ledger: Ledger, scope: str) -> None:
    ledger.register_rows("a", requests(["u"]))
    ledger.record("a", [answered("r0", "u")])
    shared = Sharing(within_batch=True, max_age=timedelta(days=7))
    ledger.register_rows("b", requests(["u", "u"], scope=scope), shared)
    assert len(missing(ledger, "b")) == {"row": 2, "batch": 1, "ledger": 0}[scope]


@pytest.mark.parametrize(
    ("content", "scope"),
    [
        ("text", "ledger"),
        ([{"type": "text", "text": "https://example.com"}], "ledger"),
        ([{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}], "batch"),
        ([{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}], "ledger"),
        ([{"type": "file", "file": {"file_id": "file_1"}}], "batch"),
    ],
)
def test_an_attachment_by_url_is_shared_within_its_batch_only(content: object, scope: str) -> None:
    assert scope_of([{"role": "user", "content": content}], {}, also_sampled=False) == scope


@pytest.mark.parametrize(("text", "age"), [("7d", 7 * 86_400), ("90 m", 5_400), ("1.5h", 5_400), ("2w", 14 * 86_400)])
def test_an_age_is_a_number_with_a_unit(text: str, age: int) -> None:
    reuse = Reuse.model_validate({"max_age": text})
    assert reuse.max_age == timedelta(seconds=age)
    assert Reuse.model_validate_json(reuse.model_dump_json()) == reuse


@pytest.mark.parametrize("age", ["7", 7, "-1d", "0d", "soon", True, "7 d d", "9999999d"])
def test_another_age_is_refused(age: object) -> None:
    with pytest.raises(ValueError, match="max_age"):
        Reuse.model_validate({"max_age": age})


def test_a_copy_whose_original_left_is_sent_itself(ledger: Ledger) -> None:
    ledger.register_rows("test", requests(["u", "u", "u"]), SHARED)
    assert [each.key for each in missing(ledger)] == ["r0"]
    ledger.record("test", [failed("r0", "u", retryable=False)])
    ledger.settle_copies("test")
    assert ledger.tally("test").failed == 3
    moved = [RowRequest(at, f"r{at + 1}", "u", ({"role": "user", "content": "u"},)) for at in range(2)]
    ledger.register_rows("test", moved, SHARED)
    assert [each.key for each in missing(ledger)] == ["r1"]
    ledger.register_rows("test", moved)
    assert [each.key for each in missing(ledger)] == ["r1", "r2"], "sharing was turned off"


def test_an_unchanged_batch_with_copies_is_not_written(ledger: Ledger) -> None:
    dataset = requests(["u", "v", "u", "w", "v"])
    ledger.register_rows("test", dataset, SHARED)
    ledger.record("test", [answered("r0", "u")])
    ledger.register_rows("test", dataset, SHARED)
    with ledger.transaction() as db:
        db.exec_driver_sql(
            "CREATE TRIGGER no_update BEFORE UPDATE ON rows BEGIN SELECT RAISE(ABORT, 'a row is written'); END"
        )
    assert ledger.register_rows("test", dataset, SHARED).copies == 2


NO_ID: dict[str, Any] = {"id_column": None, "sampling": Sampling(max_tokens=10, temperature=0.7)}


@pytest.mark.parametrize("change", ["changed", "added", "gone", "shuffled"])
@mostly_on_sqlite
async def test_without_an_id_an_unused_column_may_change(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, change: str
) -> None:
    rows: Rows = [{"text": f"text {n % 4}", "day": "monday"} for n in range(6)]
    batch = batch_in(tmp_path, rows, **NO_ID)
    first = await run(batch, sandbox, ledger)
    before, answers = sandbox.books(), [row["answer"] for row in read_answers(batch)]
    other: Rows = {
        "changed": [{**row, "day": "friday"} for row in rows],
        "added": [{**row, "week": n} for n, row in enumerate(rows)],
        "gone": [{"text": row["text"]} for row in rows],
        "shuffled": [{"text": row["text"], "day": n} for n, row in enumerate(rows)][::-1],
    }[change]
    for dataset in (other, rows):
        report = await run(batch_in(tmp_path, dataset, **NO_ID), sandbox, ledger)
        assert (report.settled, report.billed_micro_usd) == (6, first.billed_micro_usd)
        assert report.superseded_micro_usd == 0
    sandbox.silent_since(before)
    assert sorted(row["answer"] for row in read_answers(batch)) == sorted(answers)


async def test_a_moved_row_in_doubt_keeps_its_idempotency_key(tmp_path: Path, sandbox: Sandbox, ledger: Ledger) -> None:
    sandbox.change(latency_ms=30)
    rows: Rows = [{"text": f"text {n}", "day": "monday"} for n in range(30)]
    with running_elsewhere(batch_in(tmp_path, rows, **NO_ID), sandbox, f"sqlite:///{tmp_path / 'ledger.db'}"):
        await until(lambda: sandbox.books().completions >= 8, within_s=60)
    await until(lambda: sandbox.books().in_flight == 0)
    changed = batch_in(tmp_path, [{**row, "day": n} for n, row in enumerate(rows)], **NO_ID)
    report = await run(changed, sandbox, ledger)
    assert (report.status, report.settled) == ("completed", 30)
    sandbox.completed(30)
    sandbox.debited_once()


@settings(max_examples=share_of(25), deadline=None)
@given(st.lists(st.tuples(works, st.sets(st.integers(0, 6))), min_size=1, max_size=5))
def test_after_any_changes_of_keys_no_receipt_is_lost_and_no_request_is_bought_again(
    edits: list[tuple[list[str], set[int]]],
) -> None:
    ledger = Ledger.open("sqlite://")
    bought: Counter[str] = Counter()
    for number, (dataset, durable) in enumerate(edits):
        ledger.register_rows("test", requests(dataset, prefix=f"{number}-"), MOVED)
        to_send = missing(ledger)
        expected = Counter(dataset) - bought
        assert Counter(each.fingerprint for each in to_send) == expected
        paid = [each for at, each in enumerate(to_send) if at in durable]
        ledger.record("test", [answered(each.key, each.fingerprint) for each in paid])
        bought.update(each.fingerprint for each in paid)
        tally = ledger.tally("test")
        assert (tally.billed_micro_usd or 0) + tally.superseded_micro_usd == 5 * bought.total()
        assert tally.total == len(dataset)
    ledger.close()


def test_the_keys_of_rows_that_did_not_change_stay(tmp_path: Path, ledger: Ledger) -> None:
    batch = batch_in(tmp_path, [{"text": "a", "n": 1}, {"text": "a", "n": 1}], **NO_ID)
    keys = [each.key for each in row_requests(batch)]
    assert keys[1] == f"{keys[0]}-2"
    register_rows(batch, ledger)
    assert [(each.key, each.sent_as) for each in missing(ledger)] == [(key, None) for key in keys]
