"""The whole way: an endpoint deployed or reused, the batch answered while models are compared, one report."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from prefect import flow

from flows.compare_models import compare_models
from flows.complete_batch import complete_batch
from flows.deploy_endpoint import serving
from flows.outcomes import ComparisonReport, PipelineReport, end, named_outcome, report_of
from flows.pages import pipeline_page
from flows.parameters import Pipeline
from flows.suspension import OnEmptyBalance, suspended_without_credit
from pareta_batch import Batch, BatchReport, gather_settled
from pareta_evals import Comparisons
from tasks import (
    account_beside,
    check_dataset,
    check_report,
    measure_quality,
    publish_page,
    share_budget,
    shared_client,
    shared_ledger,
    tag_run,
)

STAGGER_S = 0.5


@flow(name="run-pipeline", flow_run_name="pipeline {pipeline.name}")
@named_outcome
async def run_pipeline(pipeline: Pipeline, on_empty_balance: OnEmptyBalance = "fail") -> PipelineReport:
    """Deploy or reuse, wait until live, complete the batch while models are compared, report, stop the endpoint.

    The endpoint is stopped whatever happens. With model `auto` or an endpoint id nothing is deployed or stopped.
    """
    async with suspended_without_credit(on_empty_balance):
        await tag_run(batch=pipeline.name)
        check_reports(pipeline)
        await check_dataset(pipeline.batch_on("auto"), pipeline.truth_column)
        async with shared_client(), shared_ledger(), model_for(pipeline) as model:
            for_batch, beside = await share_budget(
                pipeline.budget_usd, pipeline.batch_on(model), pipeline.comparisons_beside(), pipeline.account
            )
            batch, comparisons = await gather_settled(
                completed(pipeline.batch_on(model, for_batch)), compared(pipeline.comparisons_beside(beside))
            )
        quality = await measure_quality(batch.output, pipeline.truth_column)
        report = PipelineReport(
            name=pipeline.name, batch=batch, quality=quality, comparisons=comparisons, report=pipeline.report_path
        )
        await publish_page(pipeline.name, pipeline_page(pipeline, report), pipeline.report_path)
        return end(report)


def check_reports(pipeline: Pipeline) -> None:
    """Check that the reports replace no other file; raises OutputError before anything is paid."""
    batch, beside = pipeline.batch_on("auto"), pipeline.comparisons_beside()
    files = (batch.output_path, Path(batch.dataset))
    for path in (pipeline.report_path, *([beside.report_path] if beside else ())):
        check_report(path, exports=beside is not None, apart_from=files)


@asynccontextmanager
async def model_for(pipeline: Pipeline) -> AsyncIterator[str]:
    """Give the model that answers: an endpoint that serves while the body runs, or what was named."""
    if not pipeline.deploys:
        yield pipeline.model
        return
    account = await account_beside(pipeline.batch_on("auto"), pipeline.budget_usd, pipeline.account)
    async with serving(pipeline.deployment(), stop=pipeline.stop_endpoint, account=account) as endpoint_id:
        yield endpoint_id


async def completed(batch: Batch) -> BatchReport:
    """Run the batch as a flow of its own and give its report, finished or not."""
    return await report_of(await complete_batch(batch, return_state=True))


async def compared(comparisons: Comparisons | None) -> ComparisonReport | None:
    """Run the comparisons as a flow of their own and give their report, finished or not."""
    if comparisons is None:
        return None
    # Two subflows created at the same instant make a Prefect server on SQLite answer 503, and then wait for seconds.
    await asyncio.sleep(STAGGER_S)
    return await report_of(await compare_models(comparisons, return_state=True))
