"""Answer every row of a dataset once, paid for once."""

from typing import Annotated

from prefect import flow
from pydantic import Field

from flows.bounds import Bounds, started_here
from flows.outcomes import end, end_as_quote, named_outcome
from flows.pages import batch_page
from flows.suspension import OnEmptyBalance, suspended_without_credit
from pareta_batch import Batch, BatchReport, RunPlan, Session, stop_told
from tasks import (
    complete_shards,
    enrol_batch,
    open_sending_session,
    publish_batch,
    publish_page,
    quote_batch,
    report_on,
    shared_ledger,
    tag_run,
    write_answers_file,
)

DryRun = Annotated[
    bool,
    Field(title="Dry run", description="Send nothing: say how many rows there are to send, and what they will cost"),
]


@flow(name="complete-batch", flow_run_name="complete {batch.name} on {batch.model}")
@named_outcome
async def complete_batch(
    batch: Batch,
    on_empty_balance: OnEmptyBalance = "fail",
    dry_run: DryRun = False,
    bounds: Bounds | None = None,
) -> BatchReport:
    """Send what the ledger is missing of the dataset, and write the answers of all rows.

    Ends Completed only when every row is settled or within the tolerated failures; else in a Failed state that is
    named for the reason and carries the report. A dry run ends in a state named Quoted, with the quote.
    """
    if dry_run:
        return end_as_quote(await quote_batch(await started_here(batch, bounds, dry_run=True)))
    # One ledger to the end: were its file deleted meanwhile, what it held can still be read.
    async with suspended_without_credit(on_empty_balance), shared_ledger():
        await tag_run(batch=batch.name, endpoint=batch.model)
        batch = await started_here(batch, bounds)
        plan = await enrol_batch(batch)
        async with open_sending_session(batch) as session:
            await complete_shards(session.batch, plan)
        return end(await accounted_for(batch, plan, session))


async def accounted_for(batch: Batch, plan: RunPlan, session: Session) -> BatchReport:
    """Write the answers, say what became of every row and every dollar, and show it."""
    with stop_told(session):
        await write_answers_file(batch)
        report = await report_on(plan, session)
    await publish_batch(report)
    await publish_page(f"{batch.name}-batch", batch_page(batch, report), str(batch.page_path))
    return report
