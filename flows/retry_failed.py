"""Flow that sends only the failed rows of a batch again."""

from typing import Annotated

from pydantic import Field

from flows.bounds import Bounds, admit_known_batch
from flows.complete_batch import publish_results
from flows.direct import flow
from flows.outcomes import finish, named_outcome
from pareta_batch import Batch, BatchReport, RowSelection
from tasks import complete_shards, open_sending_session, plan_retry, shared_ledger, tag_run

Errors = Annotated[
    tuple[str, ...],
    Field(title="Error classes", description="Only rows that failed with these classes, final failures included"),
]


@flow(name="retry-failed", flow_run_name="retry {batch.name} on {batch.model}")
@named_outcome
async def retry_failed(batch: Batch, errors: Errors = (), bounds: Bounds | None = None) -> BatchReport:
    """Send the rows with a retryable failure again; an old error stays until the new outcome is settled."""
    selection = RowSelection(only_failed=True, errors=errors)
    await tag_run(batch=batch.name, endpoint=batch.model)
    async with shared_ledger():
        batch = await admit_known_batch(batch, bounds)
        plan = await plan_retry(batch, selection)
        async with open_sending_session(batch, selection) as session:
            await complete_shards(session.batch, plan)
        return finish(await publish_results(batch, plan, session))
