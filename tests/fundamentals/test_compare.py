"""Compare models on the same rows: one eval run, paid for once, and a verdict that the rows support."""

from pathlib import Path

from flows.compare_models import compare_models
from pareta_sandbox.testing import Sandbox
from tests.flows.test_compare_models import comparisons


async def test_a_comparison_scores_every_model_and_writes_its_report(pareta: Sandbox, tmp_path: Path) -> None:
    report = await compare_models(comparisons(tmp_path, "reviews"))
    (comparison,) = report.comparisons
    assert comparison.status == "completed"
    assert {"wren-1", "heron-2"} <= {score.model for score in comparison.scores}
    assert comparison.verdict.sentence in Path(report.report).read_text()


async def test_the_same_comparison_again_is_not_paid_for_again(pareta: Sandbox, tmp_path: Path) -> None:
    first = await compare_models(comparisons(tmp_path, "reviews"))
    spent = pareta.books().debited_micro_usd
    again = await compare_models(comparisons(tmp_path, "reviews"))
    assert again.comparisons[0].run_id == first.comparisons[0].run_id
    assert pareta.books().debited_micro_usd == spent
