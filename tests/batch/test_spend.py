"""Whose money was spent: tags in the ledger, and sums by owner and time that equal the books of the service."""

import csv
import io
import json
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from typer.testing import CliRunner

from flows.parameters import Pipeline, Promotion, Watch
from pareta_batch import Purchase, mark_bought, register_rows, reserve_purchase
from pareta_batch.ledger.ledger import Ledger
from pareta_batch.ledger.owners import ENDPOINT, Owner, record_owner
from pareta_batch.ledger.schema import purchases, rows
from pareta_batch.ledger.spend import PURCHASES, Amounts, SpendQuery, _windows, spend
from pareta_batch.money.account import Account
from pareta_batch.owner_tags import NO_TAGS, Tags
from pareta_cli.app import app
from pareta_evals import Comparisons
from pareta_sandbox.testing import Sandbox
from tests.batch.batches import ENDPOINT as SEED
from tests.batch.batches import answered, batch_in, on_both_databases, run

SUPPORT = Tags(team="support", project="routing")
SEARCH = Tags(team="search")
times = st.datetimes(datetime(2025, 11, 1), datetime(2026, 3, 1))


@on_both_databases
async def test_the_sums_equal_the_books_of_the_service_and_changed_tags_hold_for_later_money(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    before = sandbox.books()
    first = await run(batch_in(tmp_path, 3, tags=SUPPORT), sandbox, ledger)
    both = await run(batch_in(tmp_path, 8, tags=SEARCH), sandbox, ledger)
    account = Account("compare/models", tags=SUPPORT)
    reserve_purchase(ledger, account, Purchase("k", "eval run", {"wren-1": 100.0}))
    mark_bought(ledger, "k", "er_1", 250)
    found = spend(ledger, SpendQuery())
    assert first.billed_micro_usd is not None
    assert both.billed_micro_usd is not None
    assert found["support",] == Amounts(4, first.billed_micro_usd + 250)
    assert found["search",] == Amounts(5, both.billed_micro_usd - first.billed_micro_usd)
    debits = before.balance_micro_usd - sandbox.books().balance_micro_usd
    assert sum(each.billed_micro_usd for each in found.values()) == debits + 250
    assert list(spend(ledger, SpendQuery(by=("batch", "model", "project")))) == [
        ("compare/models", PURCHASES, "routing"),
        ("test", SEED, None),
        ("test", SEED, "routing"),
    ]


def test_replayed_resent_and_doubtful_requests_are_apart(tmp_path: Path, ledger: Ledger) -> None:
    register_rows(batch_in(tmp_path, 5), ledger)
    asks = list(ledger.missing("test", 0, 5))
    paid, doubtful = answered(asks[0].key, asks[0].fingerprint), asks[3]
    tokens = {"prompt_tokens": 4, "completion_tokens": 2}
    changes: list[dict[str, Any]] = [{}, {"resent": True}, {"resent": True, "billed_micro_usd": 0}]
    ledger.record(
        "test",
        [answered(each.key, each.fingerprint, **tokens, **change) for each, change in zip(asks, changes, strict=False)],
    )
    with ledger.transaction() as db:
        db.execute(rows.update().where(rows.c.key == doubtful.key).values(in_doubt=True))
    assert paid.billed_micro_usd is not None
    (found,) = spend(ledger, SpendQuery()).values()
    assert (found.answers, found.billed_micro_usd) == (3, 2 * paid.billed_micro_usd)
    assert (found.resent, found.replayed, found.in_doubt) == (2, 1, 1)
    assert found.replayed_at_most_micro_usd is not None
    assert found.replayed_at_most_micro_usd >= paid.billed_micro_usd
    assert found.in_doubt_at_most_micro_usd is not None
    assert found.in_doubt_at_most_micro_usd > 0


@pytest.mark.parametrize(("listed", "bound"), [({"wren-1": 100.0}, 300), ({}, None), ({"wren-1": None}, None)])
def test_a_purchase_without_a_bill_is_in_doubt_up_to_its_bound(
    ledger: Ledger, listed: dict[str, float | None], bound: int | None
) -> None:
    reserve_purchase(ledger, Account("watch/w", tags=SEARCH), Purchase("k", "eval run", listed))
    assert spend(ledger, SpendQuery()) == {("search",): Amounts(in_doubt=1, in_doubt_at_most_micro_usd=bound)}


def test_money_counts_in_its_month_and_days_limit_it(tmp_path: Path, ledger: Ledger) -> None:
    register_rows(batch_in(tmp_path, 3), ledger)
    asks = list(ledger.missing("test", 0, 3))
    ledger.record("test", [answered(each.key, each.fingerprint) for each in asks])
    days = [datetime(2025, 12, 31, 23, 59, 59), datetime(2026, 1, 1), datetime(2026, 3, 1)]
    with ledger.transaction() as db:
        for ask, day in zip(asks, days, strict=True):
            db.execute(rows.update().where(rows.c.key == ask.key).values(updated_at=day))
        db.execute(
            purchases.insert().values(
                key="p", account="compare/c", what="x", listed_micro_usd=0, billed_micro_usd=7, created_at=days[1]
            )
        )
    one = answered("x", "y").billed_micro_usd
    assert one is not None
    found = {key: each.billed_micro_usd for key, each in spend(ledger, SpendQuery(monthly=True)).items()}
    assert found == {(None, "2025-12"): one, (None, "2026-01"): one + 7, (None, "2026-03"): one}
    january = SpendQuery(start=datetime(2026, 1, 1), end=datetime(2026, 2, 1))
    assert {key: each.answers for key, each in spend(ledger, january).items()} == {(None,): 2}


def test_a_batch_without_tags_belongs_to_the_owner_of_its_endpoint(tmp_path: Path, ledger: Ledger) -> None:
    register_rows(batch_in(tmp_path, 1), ledger)
    record_owner(ledger, "batch/test", SEED, NO_TAGS)
    record_owner(ledger, ENDPOINT + SEED, None, SUPPORT)
    (ask,) = ledger.missing("test", 0, 1)
    ledger.record("test", [answered(ask.key, ask.fingerprint)])
    assert list(spend(ledger, SpendQuery(by=("team", "project")))) == [("support", "routing")]


def test_the_same_owner_is_recorded_once(ledger: Ledger) -> None:
    for tags in (NO_TAGS, SUPPORT, SUPPORT, NO_TAGS, NO_TAGS):
        record_owner(ledger, "compare/c", None, tags)
    with ledger.transaction() as db:
        assert db.scalar(sa.text("SELECT count(*) FROM owners")) == 2


@given(st.lists(times, max_size=4, unique=True), times, times, times, times, st.booleans())
def test_windows_cover_the_wanted_time_of_the_rows_once(
    changes: list[datetime], first: datetime, last: datetime, start: datetime, end: datetime, monthly: bool
) -> None:
    first, last = sorted((first, last))
    owners = [Owner(since, team=str(since)) for since in sorted(changes)]
    windows = list(_windows(owners, SpendQuery(monthly=monthly, start=start, end=end), first, last))
    for at in (first, last, *changes, *(each - timedelta(microseconds=1) for each in changes)):
        holders = [owner for owner, (begins, ends) in windows if begins <= at < ends]
        if first <= at <= last and start <= at < end:
            assert [each.team for each in holders] == [
                max((str(since) for since in changes if since <= at), default=None)
            ]
    for (_, (_, ends)), (_, (begins, _)) in pairwise(windows):
        assert ends <= begins


@pytest.mark.parametrize("tags", [{"team": ""}, {"tem": "a"}, {"team": "=1+1"}, {"project": "a\nb"}, {"team": 5}, "a"])
def test_invalid_tags_are_refused(tmp_path: Path, tags: object) -> None:
    with pytest.raises(ValidationError):
        batch_in(tmp_path, 1, tags=tags)


def test_every_purchase_of_a_tagged_spec_has_its_tags() -> None:
    comparison = {"name": "c", "task": "t", "eval_set": "es_1", "models": ["m"]}
    tags = {"team": "support"}
    pipeline = Pipeline.model_validate(
        {
            "name": "p",
            "task": "t",
            "batch": {"dataset": "d", "prompt": "{x}"},
            "comparisons": [comparison],
            "tags": tags,
        }
    )
    promotion = Promotion.model_validate({"name": "p", "comparison": comparison, "tags": tags})
    own = pipeline.model_copy(update={"batch": pipeline.batch.model_copy(update={"tags": SEARCH})})
    assert own.batch_on("auto").tags == SEARCH
    inner = pipeline.model_comparisons()
    assert inner is not None
    found = [
        pipeline.batch_on("auto").tags,
        inner.account.tags,
        pipeline.deployment().account.tags,
        promotion.comparisons().account.tags,
        promotion.deployment_of("m").tags,
        Watch.model_validate({"name": "p", "comparison": comparison, "tags": tags}).account.tags,
        Comparisons.model_validate({"name": "p", "comparisons": [comparison], "tags": tags}).account.tags,
    ]
    assert found == [Tags(team="support")] * len(found)


def spend_command(*arguments: str, exit_code: int = 0) -> str:
    ended = CliRunner().invoke(app, ["spend", *arguments])
    assert ended.exit_code == exit_code, ended.output
    return ended.stderr if exit_code else ended.stdout


def test_the_command_prints_a_table_json_and_csv(
    ledger: Ledger, ledger_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARETA_LEDGER_URL", ledger_url)
    head, total = spend_command().splitlines()
    assert head.split() == ["team", "answers", "billed", "resent", "replayed", "in", "doubt"]
    assert total.split() == ["total", "0", "$0.00", "0", "0", "0"]
    for number, tags in enumerate((Tags(team="Käse, fein"), NO_TAGS)):
        reserve_purchase(ledger, Account(f"compare/{number}", tags=tags), Purchase(f"k{number}", "x", {"m": 1.0}))
        mark_bought(ledger, f"k{number}", None, 1_500_000)
    reserve_purchase(ledger, Account("compare/2"), Purchase("k2", "x", {"m": 2.0}))
    lines = spend_command().splitlines()
    assert [line.split("  ")[0] for line in lines] == ["team", "(no team)", "Käse, fein", "total"]
    assert "$3.00" in lines[-1]
    assert "1 (at most $" in lines[1]
    as_json = json.loads(spend_command("--by", "team", "--by", "batch", "--month", "--json"))
    assert [(each["team"], each["batch"], each["billed_micro_usd"]) for each in as_json] == [
        (None, "compare/1", 1_500_000),
        (None, "compare/2", 0),
        ("Käse, fein", "compare/0", 1_500_000),
    ]
    as_csv = list(csv.DictReader(io.StringIO(spend_command("--csv"))))
    assert [(each["team"], each["billed_micro_usd"]) for each in as_csv] == [("", "1500000"), ("Käse, fein", "1500000")]
    assert json.loads(spend_command("--until", "2001-01-01", "--json")) == []
    assert len(json.loads(spend_command("--since", "2001-01-01", "--until", "9999-12-31", "--json"))) == 2


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--json", "--csv"), "only one format at a time"),
        (("--since", "2026-02-01", "--until", "2026-01-31"), "later than --until 2026-01-31"),
        (("--since", "yesterday"), "--since"),
        (("--by", "cat"), "--by"),
    ],
)
def test_a_wrong_question_is_one_line(arguments: tuple[str, ...], problem: str) -> None:
    assert problem in spend_command(*arguments, exit_code=2)
