"""Answer every row of a dataset once, paid for once."""

from prefect import flow

from flows.endings import end, named_ending
from flows.suspension import OnEmptyBalance, suspended_without_credit
from pareta_batch.batch import Batch
from pareta_batch.report import BatchReport
from tasks.artifacts import publish_batch
from tasks.batches import complete_shards, enrol_batch, report_on, write_answers_file
from tasks.fleet import share_of_fleet
from tasks.progress import progress_shown
from tasks.shared import working_on


@flow(name="complete-batch", flow_run_name="complete {batch.name} on {batch.model}")
@named_ending
async def complete_batch(batch: Batch, on_empty_balance: OnEmptyBalance = "fail") -> BatchReport:
    """Send what the ledger is missing of the dataset, and write the answers of all rows.

    Ends Completed only when every row is settled or within the tolerated failures; else in a Failed state that is
    named for the reason and carries the report.
    """
    async with suspended_without_credit(on_empty_balance):
        plan = await enrol_batch(batch)
        async with share_of_fleet(batch) as share, working_on(share) as session, progress_shown(session):
            await complete_shards(share, plan)
        await write_answers_file(batch)
        report = await report_on(plan, session)
        await publish_batch(report)
        return end(report)
