"""`retry_failed`: what failed is sent again, selectable by error class, and nothing else is."""

from pathlib import Path

import pytest

from flows.complete_batch import complete_batch
from flows.outcomes import report_of
from flows.retry_failed import retry_failed
from pareta_batch.errors import BatchUnknown
from pareta_sandbox.faults.kinds import Status
from pareta_sandbox.testing import Sandbox
from tasks import resources
from tasks.batches import complete_shard
from tests.flows.datasets import batch, failing_at_once


@pytest.fixture
def pareta(direct: Sandbox) -> Sandbox:
    """A service to run against; these flows run without a Prefect server."""
    return direct


async def test_rows_that_failed_for_a_passing_reason_are_sent_again(
    pareta: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "open_session", failing_at_once)
    monkeypatch.setattr(complete_shard, "retries", 0)
    pareta.inject(Status(status=500, times=3))
    first = await report_of(await complete_batch(batch(tmp_path), return_state=True))
    report = await retry_failed(batch(tmp_path))
    assert (first.failed, report.failed, report.settled) == (3, 0, 12)
    pareta.completed(12)
    pareta.debited_once()


async def test_a_final_failure_is_sent_again_only_by_its_name(pareta: Sandbox, tmp_path: Path) -> None:
    pareta.inject(Status(status=400, times=2))
    await complete_batch(batch(tmp_path), return_state=True)
    before = pareta.books()
    await retry_failed(batch(tmp_path), return_state=True)
    pareta.silent_since(before)
    report = await retry_failed(batch(tmp_path), errors=("BadRequestError",))
    assert (report.settled, report.failed) == (12, 0)


async def test_a_batch_that_the_ledger_does_not_have_is_refused_and_its_answers_stay(
    pareta: Sandbox, tmp_path: Path
) -> None:
    work = batch(tmp_path)
    await complete_batch(work)
    whole = work.output_path.read_bytes()
    with pytest.raises(BatchUnknown, match="did you mean 'reviews'"):
        await retry_failed(work.model_copy(update={"name": "review"}))
    assert work.output_path.read_bytes() == whole
