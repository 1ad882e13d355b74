"""Send again what failed, and only that."""

from typing import Annotated

from prefect import flow
from pydantic import Field

from flows.bounds import Bounds, continued_here
from flows.complete_batch import accounted_for
from flows.outcomes import end, named_outcome
from pareta_batch import Batch, BatchReport, RowSelection
from tasks import complete_shards, open_sending_session, plan_retry, shared_ledger, tag_run

Errors = Annotated[
    tuple[str, ...],
    Field(title="Error classes", description="Only rows that failed with these; a final failure too, if it is named"),
]


@flow(name="retry-failed", flow_run_name="retry {batch.name} on {batch.model}")
@named_outcome
async def retry_failed(batch: Batch, errors: Errors = (), bounds: Bounds | None = None) -> BatchReport:
    """Send again the rows that failed in a way that may pass; an old error stays until the new outcome is in."""
    wanted = RowSelection(only_failed=True, errors=errors)
    await tag_run(batch=batch.name, endpoint=batch.model)
    async with shared_ledger():
        batch = await continued_here(batch, bounds)
        plan = await plan_retry(batch, wanted)
        async with open_sending_session(batch, wanted) as session:
            await complete_shards(session.batch, plan)
        return end(await accounted_for(batch, plan, session))
