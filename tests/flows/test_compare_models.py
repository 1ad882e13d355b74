"""`compare_models`: concurrent runs, each paid for once, each reported beside the others."""

from pathlib import Path

import pytest

from flows.compare_models import compare_models
from flows.outcomes import report_of
from pareta_batch.errors import OutputError
from pareta_batch.ledger.kept_quotes import hit_rate
from pareta_batch.ledger.ledger import Ledger
from pareta_client import AsyncPareta
from pareta_evals.quote import quote_comparisons
from pareta_evals.spec import Comparisons
from pareta_sandbox.faults.kinds import EvalRunFails
from pareta_sandbox.testing import Sandbox
from tasks import events
from tests.flows.datasets import write_rows


@pytest.fixture
def pareta(direct: Sandbox) -> Sandbox:
    """A service to run against; these flows run without a Prefect server."""
    return direct


def rows(folder: Path, count: int = 20) -> str:
    prompt = "Is this review positive, negative or neutral? Answer with one word.\n\n"
    texts = (("I love it, great", "positive"), ("I hate it, terrible", "negative"))
    return write_rows(
        folder / "eval.jsonl",
        [{"input": f"{prompt}{texts[n % 2][0]} ({n})", "expected": texts[n % 2][1]} for n in range(count)],
    )


def comparisons(folder: Path, *names: str, **fields: object) -> Comparisons:
    each = {"task": "sentiment-classification", "rows": rows(folder), "models": ["wren-1", "heron-2"]}
    return Comparisons.model_validate(
        {"name": "sentiment", "comparisons": [{"name": name, **each, **fields} for name in names]}
    )


async def test_a_comparison_is_decided_and_its_report_written(pareta: Sandbox, tmp_path: Path) -> None:
    report = await compare_models(comparisons(tmp_path, "one"))
    (comparison,) = report.comparisons
    assert comparison.status == "completed"
    assert {"wren-1", "heron-2"} <= {score.model for score in comparison.scores}
    assert comparison.verdict.sentence in Path(report.report).read_text()


async def test_the_same_comparison_again_waits_for_the_run_that_was_paid_for(pareta: Sandbox, tmp_path: Path) -> None:
    first = await compare_models(comparisons(tmp_path, "one"))
    spent = pareta.books().debited_micro_usd
    again = await compare_models(comparisons(tmp_path, "one"))
    assert again.comparisons[0].run_id == first.comparisons[0].run_id
    assert (pareta.books().debited_micro_usd, pareta.books().eval_runs_created) == (spent, 1)


async def test_equal_rows_make_one_eval_set(pareta: Sandbox, tmp_path: Path) -> None:
    work = comparisons(tmp_path, "one")
    await compare_models(work)
    await compare_models(comparisons(tmp_path, "one", models=["wren-2"]))
    assert pareta.books().requests["POST /v1/eval-sets"] == 1


async def test_one_that_fails_is_reported_beside_the_others(pareta: Sandbox, tmp_path: Path) -> None:
    specs = comparisons(tmp_path, "good", "bad").model_dump()
    specs["comparisons"][1]["rows"] = str(tmp_path / "missing.jsonl")
    state = await compare_models(Comparisons.model_validate(specs), return_state=True)
    report = await report_of(state)
    assert (state.name, [each.status for each in report.comparisons]) == ("ComparisonFailed", ["completed", "failed"])
    assert "missing.jsonl" in str(report.comparisons[1].error)


async def test_no_more_runs_are_in_flight_than_the_limit(pareta: Sandbox, tmp_path: Path) -> None:
    specs = comparisons(tmp_path, "a", "b", "c", "d").model_dump()
    for number, spec in enumerate(specs["comparisons"]):
        spec["frontier"] = ["none", "benchmarked", "all", ["summit-pro"]][number]
        spec["baseline_max_age"] = 0
    specs["max_runs_in_flight"] = 2
    pareta.change(eval_s=2)  # two overlap, on a loaded machine too
    await compare_models(Comparisons.model_validate(specs))
    assert (pareta.books().eval_runs_created, pareta.books().highest_eval_runs_in_flight) == (4, 2)


async def test_a_run_that_failed_at_the_service_is_replaced_the_next_time(pareta: Sandbox, tmp_path: Path) -> None:
    pareta.inject(EvalRunFails(times=1))
    first = await report_of(await compare_models(comparisons(tmp_path, "one"), return_state=True))
    second = await compare_models(comparisons(tmp_path, "one"))
    assert (first.comparisons[0].status, second.comparisons[0].status) == ("failed", "completed")
    assert pareta.books().eval_runs_created == 2


async def test_a_failed_run_among_several_is_replaced_the_next_time_and_the_others_are_not_bought_again(
    pareta: Sandbox, tmp_path: Path
) -> None:
    work = several(tmp_path, {}, {"models": ["wren-2"]}, {"models": ["heron-1"]})
    pareta.inject(EvalRunFails(times=1))
    first = await report_of(await compare_models(work, return_state=True))
    assert sorted(each.status for each in first.comparisons) == ["completed", "completed", "failed"]
    second = await compare_models(work)
    assert pareta.books().eval_runs_created == 4
    assert billed_once_each(pareta) == {each.run_id for each in second.comparisons}


async def test_credit_that_is_too_little_for_one_of_several_fails_that_one_and_a_top_up_buys_no_other(
    pareta: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(events, "uses_prefect", lambda: True)
    monkeypatch.setattr("prefect.events.emit_event", lambda event, **_: told.append(event))
    # The dear one comes first: those that can be paid are not to wait for it, nor to fail with it.
    work = several(tmp_path, {"frontier": ["summit-pro"]}, {"models": ["wren-1"]}, {"models": ["wren-2"]})
    pareta.set_balance("0.05")
    state = await compare_models(work, return_state=True)
    first = await report_of(state)
    assert (state.name, [each.status for each in first.comparisons]) == (
        "ComparisonFailed",
        ["failed", "completed", "completed"],
    )
    assert "InsufficientCreditsError" in str(first.comparisons[0].error)
    assert sorted(told) == ["pareta.comparison.decided", "pareta.comparison.decided", "pareta.credits.exhausted"]
    assert billed_once_each(pareta) == {each.run_id for each in first.comparisons[1:]}
    pareta.top_up(1)
    second = await compare_models(work)
    assert second.comparisons[1].run_id == first.comparisons[1].run_id
    assert billed_once_each(pareta) == {each.run_id for each in second.comparisons}
    assert pareta.books().eval_runs_created == 3


async def test_a_bad_eval_file_among_several_is_named_by_its_row_and_nothing_is_made_of_it(
    pareta: Sandbox, tmp_path: Path
) -> None:
    bad = write_rows(tmp_path / "bad.jsonl", [{"input": "a", "expected": "positive"}, {"input": "b"}])
    work = several(tmp_path, {}, {"rows": bad}, {"models": ["wren-2"]})
    report = await report_of(await compare_models(work, return_state=True))
    assert [each.status for each in report.comparisons] == ["completed", "failed", "completed"]
    assert "bad.jsonl line 2: no value for 'expected'" in str(report.comparisons[1].error)
    assert (pareta.books().requests["POST /v1/eval-sets"], pareta.books().eval_runs_created) == (1, 2)


def several(folder: Path, *fields: dict[str, object]) -> Comparisons:
    """Return comparisons of equal rows without baselines, one for each set of fields."""
    each = {"task": "sentiment-classification", "rows": rows(folder), "models": ["wren-1", "heron-2"]}
    specs = [{"name": f"c{n}", **each, "frontier": "none", **own} for n, own in enumerate(fields)]
    return Comparisons.model_validate({"name": "several", "comparisons": specs})


def billed_once_each(pareta: Sandbox) -> set[str]:
    """Return the billed eval runs, and assert that each was billed once."""
    billed = [debit.endpoint for debit in pareta.books().debits if debit.kind == "eval_run"]
    assert len(billed) == len(set(billed))
    return set(billed)


async def test_what_was_quoted_is_checked_against_what_the_run_cost(pareta: Sandbox, tmp_path: Path) -> None:
    work = comparisons(tmp_path, "one")
    async with AsyncPareta.from_env() as client:
        ledger = Ledger.open()
        try:
            await quote_comparisons(work, client, ledger)
            await compare_models(work)
            assert hit_rate(ledger, "comparison", "leaderboard").checked == 1
            again = await quote_comparisons(work, client, ledger)
        finally:
            ledger.close()
    assert "of the last 1 quotes of comparisons " in str(again)


async def test_a_report_over_a_file_of_somebody_else_is_refused_before_anything_is_bought(
    pareta: Sandbox, tmp_path: Path
) -> None:
    """The comparisons beside a report are named after it: `spec.json` beside `spec.html`."""
    (tmp_path / "spec.json").write_text('{"name": "mine"}')
    before = pareta.books()
    with pytest.raises(OutputError, match=r"report .*spec\.json': existing file is not a report of ours; move it"):
        await compare_models(comparisons(tmp_path, "one").model_copy(update={"report": str(tmp_path / "spec.html")}))
    assert pareta.books() == before
    assert (tmp_path / "spec.json").read_text() == '{"name": "mine"}'
