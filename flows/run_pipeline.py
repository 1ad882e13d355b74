"""Flow of the whole pipeline: deploy or reuse an endpoint, complete the batch, compare models, write one report."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from flows.approval import approved
from flows.bounds import BoundsForm, admit_pipeline
from flows.compare_models import compare_models
from flows.complete_batch import complete_batch
from flows.deploy_endpoint import serving
from flows.direct import flow
from flows.forms import OfDeployment, titled
from flows.outcomes import finish, named_outcome, report_of, sentence_of
from flows.pages import pipeline_page
from flows.parameters import Pipeline
from flows.quoter import quote_pipeline
from flows.report_files import check_reports
from flows.reports import ComparisonReport, PipelineReport
from flows.spent import spent_of
from flows.suspension import OnEmptyBalance, suspend_when_out_of_credit
from pareta_batch import Account, Batch, BatchReport, gather_settled
from pareta_evals import Comparisons
from tasks import (
    check_batch_is_free,
    check_dataset,
    check_worker,
    comparison_account,
    measure_quality,
    publish_page,
    publish_summary,
    share_budget,
    shared_client,
    shared_ledger,
    spent_under,
    tag_run,
    work_lock,
)

STAGGER_S = 0.5
"""Seconds between the starts of the two subflows. Raising it delays the comparisons."""


@flow(name="run-pipeline", flow_run_name="pipeline {pipeline.name}")
@named_outcome
async def run_pipeline(
    pipeline: Annotated[Pipeline, OfDeployment("pipeline"), titled("Pipeline")],
    on_empty_balance: OnEmptyBalance = "fail",
    bounds: BoundsForm = None,
) -> PipelineReport:
    """Deploy or reuse an endpoint, complete the batch while models are compared, report, stop the endpoint.

    The endpoint is stopped on success and on failure. With model `auto` or an endpoint id, nothing is deployed.

    Args:
        pipeline: Endpoint, batch and comparisons. Fields that are not set are those of the deployment.
        on_empty_balance: `fail` ends the run; `suspend` waits, without a process, until it is resumed after a top-up.
        bounds: Files, batches and dollars of a deployment that events start. None for other deployments.
    """
    async with suspend_when_out_of_credit(on_empty_balance):
        await tag_run(batch=pipeline.name, **pipeline.tags.named())
        pipeline = await admit_pipeline(pipeline, bounds)
        check_reports(pipeline)
        await check_dataset(pipeline.batch_on("auto"), pipeline.truth_column)
        await check_worker(pipeline.batch_on("auto"))
        pipeline = await approved(pipeline, bounds, lambda: quote_pipeline(pipeline))
        purchases = Account(pipeline.account)
        before = await spent_under(purchases)
        async with shared_client(), alone(pipeline), answering_model(pipeline) as model:
            batch, comparisons = await run_parts(pipeline, model)
            spent = spent_of(await spent_under(purchases), pipeline.budget_usd, before)
        quality = await measure_quality(batch.output, pipeline.truth_column)
        report = PipelineReport(
            name=pipeline.name,
            batch=batch,
            quality=quality,
            comparisons=comparisons,
            report=pipeline.report_path,
            spent=spent,
        )
        await publish(pipeline, report)
        return finish(report)


async def run_parts(pipeline: Pipeline, model: str) -> tuple[BatchReport, ComparisonReport | None]:
    """Complete the batch on the model while other models are compared, within the shared budget."""
    for_batch, for_comparisons = await share_budget(
        pipeline.budget_usd, pipeline.batch_on(model), pipeline.model_comparisons(), pipeline.account
    )
    return await gather_settled(
        run_batch(pipeline.batch_on(model, for_batch)), compare(pipeline.model_comparisons(for_comparisons))
    )


async def publish(pipeline: Pipeline, report: PipelineReport) -> None:
    """Write the HTML report, and show the whole result on the page of the run."""
    await publish_page(pipeline.name, pipeline_page(pipeline, report), pipeline.report_path)
    compared = report.comparisons.comparisons if report.comparisons else ()
    await publish_summary(pipeline.name, sentence_of(report), report.batch, report.quality, compared)


@asynccontextmanager
async def alone(pipeline: Pipeline) -> AsyncIterator[None]:
    """Hold the pipeline's name while the body runs, so that a second run never stops the endpoint of the first.

    Raises BatchBusy while another run has the pipeline or its batch.
    """
    async with shared_ledger(), work_lock("pipeline", pipeline.name):
        await check_batch_is_free(pipeline.name)
        yield


@asynccontextmanager
async def answering_model(pipeline: Pipeline) -> AsyncIterator[str]:
    """Yield the model that answers: the id of an endpoint that is live while the body runs, or the named model."""
    if not pipeline.deploys:
        yield pipeline.model
        return
    account = await comparison_account(pipeline.batch_on("auto"), pipeline.budget_usd, pipeline.account)
    async with serving(pipeline.deployment(), stop=pipeline.stop_endpoint, account=account) as endpoint_id:
        yield endpoint_id


async def run_batch(batch: Batch) -> BatchReport:
    """Run the batch as a subflow and return its report, complete or not."""
    return await report_of(await complete_batch(batch, return_state=True))


async def compare(comparisons: Comparisons | None) -> ComparisonReport | None:
    """Run the comparisons as a subflow and return their report, complete or not."""
    if comparisons is None:
        return None
    # Two subflows created at once make a Prefect server on SQLite answer 503, which costs seconds of backoff.
    await asyncio.sleep(STAGGER_S)
    return await report_of(await compare_models(comparisons, return_state=True))
