"""OpenTelemetry of comparisons, watches and deployments: spans, durations, and bills that equal the ledger."""

from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan

from flows.compare_models import compare_models
from flows.deploy_endpoint import deploy_endpoint
from flows.outcomes import report_of
from flows.parameters import Deployment
from flows.run_pipeline import run_pipeline
from flows.watch_quality import watch_quality
from pareta_batch import EvalRunFailed, Ledger, Tags, spending
from pareta_client import PermissionDeniedError
from pareta_sandbox.faults.kinds import EvalRunFails
from pareta_sandbox.testing import Sandbox, Status
from tests.batch.exporters import Seen, seen
from tests.flows.test_compare_models import comparisons
from tests.flows.test_run_pipeline import pipeline
from tests.flows.test_watch_quality import watch

__all__ = ["seen"]

SUPPORT = Tags(team="support")


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return {"name": span.name, "ok": span.status.is_ok, **(span.attributes or {})}


def spent(*accounts: str) -> int:
    ledger = Ledger.open()
    try:
        return sum(spending(ledger, account).micro_usd for account in accounts)
    finally:
        ledger.close()


def durations(seen: Seen, work: str) -> list[tuple[int, str | None, str | None]]:
    """Return count, owner and error of each point."""
    points = [each for each in seen.points("pareta.work.duration") if each.attributes["pareta.work"] == work]
    return [(each.count, each.attributes.get("pareta.team"), each.attributes.get("error.type")) for each in points]


async def test_the_bill_of_an_eval_run_is_counted_once_by_all_runs_that_wait_for_it(
    direct: Sandbox, seen: Seen, tmp_path: Path
) -> None:
    work = comparisons(tmp_path, "one", "two").model_copy(update={"tags": SUPPORT})
    await compare_models(work)
    await compare_models(work)
    found = [attributes(span) for span in seen.named("comparison ")]
    assert sorted(each["name"] for each in found) == ["comparison one"] * 2 + ["comparison two"] * 2
    assert {(each["pareta.team"], each["ok"]) for each in found} == {("support", True)}
    # Equal work is bought once: all wait for one eval run.
    (bill,) = {each["pareta.billed_micro_usd"] for each in found}
    named = {"pareta.account": work.account.name, "pareta.team": "support"}
    assert seen.total("pareta.purchase.spend", **named) == bill == spent(work.account.name)
    assert seen.total("pareta.purchase.spend") == direct.books().debited_micro_usd
    assert durations(seen, "comparison") == [(2, "support", None)] * 2


@pytest.mark.parametrize(
    ("fault", "error"),
    [(EvalRunFails(), "EvalRunFailed"), (Status(route="eval_runs", status=402, times=1), "InsufficientCreditsError")],
)
async def test_a_failed_comparison_has_its_error_and_no_text(
    fault: EvalRunFails | Status, error: str, direct: Sandbox, seen: Seen, tmp_path: Path
) -> None:
    direct.inject(fault)
    await report_of(await compare_models(comparisons(tmp_path, "one"), return_state=True))
    (found,) = map(attributes, seen.named("comparison "))
    assert (found["error.type"], found["ok"]) == (error, False)
    assert not any("injected" in str(value) for value in found.values())
    assert durations(seen, "comparison") == [(1, None, error)]


async def test_each_run_of_a_watch_is_a_span_and_its_bills_are_those_of_the_ledger(
    direct: Sandbox, seen: Seen, tmp_path: Path
) -> None:
    watched = watch(tmp_path).model_copy(update={"tags": SUPPORT})
    reports = [await watch_quality(watched) for _ in range(2)]
    found = [attributes(span) for span in seen.named("watch ")]
    assert [each["pareta.eval_run"] for each in found] == [report.run_id for report in reports]
    assert {(each["pareta.watch"], each["pareta.team"], each["pareta.drifted"]) for each in found} == {
        ("sentiment", "support", False)
    }
    total = sum(each["pareta.billed_micro_usd"] for each in found)
    assert total == seen.total("pareta.purchase.spend") == spent("watch/sentiment") == direct.books().debited_micro_usd
    assert durations(seen, "watch") == [(2, "support", None)]


async def test_a_failed_watch_has_its_error(direct: Sandbox, seen: Seen, tmp_path: Path) -> None:
    direct.inject(EvalRunFails())
    with pytest.raises(EvalRunFailed):
        await watch_quality(watch(tmp_path))
    (found,) = map(attributes, seen.named("watch "))
    assert (found["error.type"], found["ok"]) == ("EvalRunFailed", False)


async def test_a_deployment_is_a_span_with_its_endpoint_and_the_bill_of_its_smoke_call(
    direct: Sandbox, seen: Seen
) -> None:
    deployment = Deployment(name="tracked", task="sentiment-classification", model="wren-1", tags=SUPPORT)
    endpoint = await deploy_endpoint(deployment)
    (found,) = map(attributes, seen.named("deployment "))
    assert (found["pareta.deployment"], found["pareta.endpoint"], found["ok"]) == ("tracked", endpoint, True)
    assert seen.total("pareta.purchase.spend", **{"pareta.account": "endpoint/tracked"}) == spent("endpoint/tracked")
    assert spent("endpoint/tracked") == direct.books().debited_micro_usd > 0
    assert durations(seen, "deployment") == [(1, "support", None)]


async def test_a_deployment_that_does_not_answer_has_its_error(direct: Sandbox, seen: Seen) -> None:
    direct.inject(Status(status=403))
    with pytest.raises(PermissionDeniedError):
        await deploy_endpoint(Deployment(name="mute", task="sentiment-classification", model="wren-1"))
    (found,) = map(attributes, seen.named("deployment "))
    assert (found["error.type"], found["ok"]) == ("PermissionDeniedError", False)


async def test_a_pipeline_has_the_spans_of_its_parts_and_all_its_money(
    direct: Sandbox, seen: Seen, tmp_path: Path
) -> None:
    work = pipeline(tmp_path)
    await run_pipeline(work)
    assert len(seen.named("deployment ")) == len(seen.named("batch ")) == 1
    assert len(seen.named("comparison ")) == len(work.comparisons) > 0
    money = seen.total("pareta.purchase.spend") + seen.total("pareta.batch.spend")
    assert money == direct.books().debited_micro_usd


def test_two_runs_that_write_one_bill_count_it_once(tmp_path: Path) -> None:
    from pareta_batch.ledger.purchases import Bill, Purchase, mark_bought, reserve_purchase
    from pareta_batch.money import Account

    ledger = Ledger.open(f"sqlite:///{tmp_path}/ledger.db")
    reserve_purchase(ledger, Account("compare/c"), Purchase("key", "eval run", {"m": 3.0}))
    assert mark_bought(ledger, "key", "run") is None
    assert mark_bought(ledger, "key", "run", 7) == Bill("compare/c", 7)
    assert mark_bought(ledger, "key", "run", 7) == Bill("compare/c", 0)
    assert mark_bought(ledger, "key", "run") is None, "of a run that was created later, by the same key"
    assert spending(ledger, "compare/c").micro_usd == 7
    assert mark_bought(ledger, "key", "run", 9) == Bill("compare/c", 2)
    assert mark_bought(ledger, "none", "run", 9) is None
    ledger.close()
