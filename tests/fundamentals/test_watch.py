"""Watch quality: each run scores the same rows again and is compared with the first."""

from pathlib import Path

from flows.watch_quality import watch_quality
from pareta_sandbox.testing import Sandbox
from tests.flows.test_watch_quality import watch


async def test_each_run_is_compared_with_the_first(pareta: Sandbox, tmp_path: Path) -> None:
    first, second = [await watch_quality(watch(tmp_path)) for _ in range(2)]
    assert second.drift.reference == first.run_id
    assert second.drift.drifted == ()
    books = pareta.books()
    assert (books.requests["POST /v1/eval-sets"], books.eval_runs_created) == (1, 2)


async def test_a_plot_shows_the_series(pareta: Sandbox, tmp_path: Path) -> None:
    report = await watch_quality(watch(tmp_path))
    assert Path(report.plot).read_text().count("<svg") == 1
