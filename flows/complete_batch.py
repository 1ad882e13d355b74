"""Flow that answers every row of a dataset once and pays for it once."""

from typing import Annotated

from flows.approval import approved
from flows.bounds import BoundsForm, admit_batch
from flows.direct import flow
from flows.forms import OfDeployment, titled
from flows.outcomes import end_as_quote, finish, named_outcome
from flows.pages import batch_page
from flows.suspension import OnEmptyBalance, suspend_when_out_of_credit
from pareta_batch import Batch, BatchReport, Lead, RunPlan, Session, report_ledger_failure
from tasks import (
    build_report,
    check_worker,
    complete_shards,
    open_sending_session,
    publish_batch,
    publish_page,
    quote_batch,
    register_batch,
    shared_ledger,
    tag_run,
    write_answers_file,
)

BatchForm = Annotated[Batch, OfDeployment("batch"), titled("Batch")]


@flow(name="complete-batch", flow_run_name="complete {batch.name} on {batch.model}")
@named_outcome
async def complete_batch(
    batch: BatchForm,
    on_empty_balance: OnEmptyBalance = "fail",
    dry_run: Annotated[bool, titled("Dry run")] = False,
    bounds: BoundsForm = None,
) -> BatchReport:
    """Send the rows of the dataset that the ledger has no answer for, and write the answers of all rows.

    Ends Completed only if every row is settled or within the tolerated failures. Otherwise it ends in a Failed state
    that is named for the reason and carries the report. A dry run ends in a state named Quoted, with the quote.

    Args:
        batch: Rows, prompt and model. Fields that are not set are those of the deployment.
        on_empty_balance: `fail` ends the run; `suspend` waits, without a process, until it is resumed after a top-up.
        dry_run: Send nothing; report the number of rows to send and their expected cost.
        bounds: Files, batches and dollars of a deployment that events start. None for other deployments.
    """
    if dry_run:
        return end_as_quote(await quote_batch(await admit_batch(batch, bounds, dry_run=True)))
    # One open ledger to the end: its content stays readable even if the file is deleted during the run.
    async with suspend_when_out_of_credit(on_empty_balance), shared_ledger():
        await tag_run(batch=batch.name, endpoint=batch.model, **batch.tags.named())
        batch = await admit_batch(batch, bounds)
        batch = await approved(batch, bounds, lambda: quote_batch(batch))
        plan = await register_batch(batch)
        await check_worker(batch)
        async with open_sending_session(batch) as session:
            await complete_shards(session, plan)
        return finish(await publish_results(batch, plan, session))


async def publish_results(batch: Batch, plan: RunPlan, session: Session | Lead) -> BatchReport:
    """Write the answers, then build and publish the report of rows and dollars."""
    with report_ledger_failure(session):
        await write_answers_file(batch, session.written)
        report = await build_report(plan, session)
    await publish_batch(report)
    await publish_page(f"{batch.name}-batch", batch_page(batch, report), str(batch.page_path))
    return report
