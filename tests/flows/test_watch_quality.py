"""`watch_quality`: a new eval run each time, compared with the one that the watch began with."""

from pathlib import Path

from flows.parameters import Watch
from flows.watch_quality import watch_quality
from pareta_sandbox.testing import Sandbox
from tests.flows.test_compare_models import rows


def watch(folder: Path) -> Watch:
    comparison = {
        "name": "sentiment",
        "task": "sentiment-classification",
        "rows": rows(folder),
        "models": ["wren-1", "heron-2"],
        "frontier": "none",
    }
    return Watch.model_validate({"name": "sentiment", "comparison": comparison})


async def test_each_run_is_a_new_occasion_on_the_same_eval_set(pareta: Sandbox, tmp_path: Path) -> None:
    first = await watch_quality(watch(tmp_path))
    second = await watch_quality(watch(tmp_path))
    books = pareta.books()
    assert (books.requests["POST /v1/eval-sets"], books.eval_runs_created) == (1, 2)
    assert (first.drift.reference, second.drift.reference) == (first.run_id, first.run_id)


async def test_models_that_answer_as_before_have_not_drifted(pareta: Sandbox, tmp_path: Path) -> None:
    await watch_quality(watch(tmp_path))
    report = await watch_quality(watch(tmp_path))
    assert {change.model for change in report.drift.changes} == {"wren-1", "heron-2"}
    assert report.drift.drifted == ()
    assert Path(report.plot).read_text().count("<svg") == 1
