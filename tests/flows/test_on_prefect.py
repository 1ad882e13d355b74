"""The flows as flow runs on a Prefect server; their behaviour is tested without one, in the files of each flow."""

from pathlib import Path
from uuid import uuid4

import pytest
from prefect import get_client
from prefect.artifacts import Artifact as Artifacts

from flows.complete_batch import complete_batch
from flows.outcomes import report_of
from flows.promote_winner import promote_winner
from flows.run_pipeline import run_pipeline
from flows.watch_quality import watch_quality
from pareta_sandbox.faults.kinds import Status
from pareta_sandbox.testing import Sandbox
from tasks import resources
from tasks.batches import complete_shard
from tests.flows.datasets import batch, failing_at_once
from tests.flows.test_promote_winner import promotion
from tests.flows.test_run_pipeline import pipeline, statuses
from tests.flows.test_watch_quality import watch


async def test_a_run_is_found_by_the_tags_of_its_batch_and_its_endpoint(pareta: Sandbox, tmp_path: Path) -> None:
    state = await complete_batch(batch(tmp_path, name="tagged"), return_state=True)
    async with get_client() as client:
        run = await client.read_flow_run(state.state_details.flow_run_id or uuid4())
    assert set(run.tags) == {"batch:tagged", "endpoint:auto"}


async def test_an_artifact_tells_how_to_link_the_page_of_the_batch(pareta: Sandbox, tmp_path: Path) -> None:
    work = batch(tmp_path, name="paged")
    await complete_batch(work)
    link = await Artifacts.aget(key="paged-batch-report")
    assert link is not None
    # No link: a browser does not open the file:// of a worker.
    assert "on the workers to link it here" in str(link.data)


async def test_a_retry_of_the_flow_goes_on_from_the_ledger(
    pareta: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "open_session", failing_at_once)
    monkeypatch.setattr(complete_shard, "retries", 0)
    pareta.inject(Status(status=500, times=3))
    report = await complete_batch.with_options(retries=1, retry_delay_seconds=0)(batch(tmp_path))
    assert (report.settled, report.failed) == (12, 0)
    pareta.completed(12)
    pareta.debited_once()


async def test_a_pipeline_is_three_flow_runs_that_end_by_name(pareta: Sandbox, tmp_path: Path) -> None:
    pareta.inject(Status(route="eval_runs", status=402, times=1))
    state = await run_pipeline(pipeline(tmp_path), return_state=True)
    assert (state.name, (await report_of(state)).batch.settled, statuses()) == ("ComparisonFailed", 12, ["stopped"])
    assert (await run_pipeline(pipeline(tmp_path))).status == "completed"


async def test_a_promotion_ends_by_name(pareta: Sandbox, tmp_path: Path) -> None:
    state = await promote_winner(promotion(tmp_path), return_state=True)
    assert (state.is_completed(), state.name) in {(True, "Completed"), (False, "GateNotPassed")}
    pareta.debited_once()


async def test_the_occurrence_of_a_watch_is_the_scheduled_time_of_its_run(pareta: Sandbox, tmp_path: Path) -> None:
    state = await watch_quality(watch(tmp_path), return_state=True)
    async with get_client() as client:
        run = await client.read_flow_run(state.state_details.flow_run_id or uuid4())
    assert run.expected_start_time is not None
    assert (await state.aresult()).occasion == run.expected_start_time.isoformat()
