"""`compare_models`: concurrent runs, each paid for once, each reported beside the others."""

from pathlib import Path

from flows.compare_models import compare_models
from flows.endings import report_of
from pareta_batch.comparing import Comparisons
from pareta_sandbox.faults import EvalRunFails, Status
from pareta_sandbox.testing import Sandbox
from tests.flows.datasets import write_rows


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
    pareta.change(eval_s=0.3)
    await compare_models(Comparisons.model_validate(specs))
    assert (pareta.books().eval_runs_created, pareta.books().highest_eval_runs_in_flight) == (4, 2)


async def test_a_run_that_failed_at_the_service_is_replaced_the_next_time(pareta: Sandbox, tmp_path: Path) -> None:
    pareta.inject(EvalRunFails(times=1))
    first = await report_of(await compare_models(comparisons(tmp_path, "one"), return_state=True))
    second = await compare_models(comparisons(tmp_path, "one"))
    assert (first.comparisons[0].status, second.comparisons[0].status) == ("failed", "completed")
    assert pareta.books().eval_runs_created == 2


async def test_an_empty_balance_fails_the_comparison_and_names_it(pareta: Sandbox, tmp_path: Path) -> None:
    pareta.inject(Status(route="eval_runs", status=402))
    report = await report_of(await compare_models(comparisons(tmp_path, "one"), return_state=True))
    assert "InsufficientCreditsError" in str(report.comparisons[0].error)
