"""Flow that sends only the failed rows of a batch again."""

from typing import Annotated

from flows.approval import approved
from flows.bounds import BoundsForm, admit_known_batch
from flows.complete_batch import BatchForm, publish_results
from flows.direct import flow
from flows.forms import titled
from flows.outcomes import finish, named_outcome
from pareta_batch import BatchReport, RowSelection
from tasks import check_worker, complete_shards, open_sending_session, plan_retry, quote_batch, shared_ledger, tag_run


@flow(name="retry-failed", flow_run_name="retry {batch.name} on {batch.model}")
@named_outcome
async def retry_failed(
    batch: BatchForm,
    errors: Annotated[tuple[str, ...], titled("Error classes")] = (),
    bounds: BoundsForm = None,
) -> BatchReport:
    """Send the rows with a retryable failure again; an old error stays until the new outcome is settled.

    Args:
        batch: Rows, prompt and model of the batch. Fields that are not set are those of the deployment.
        errors: Only rows that failed with these classes, final failures included. Empty for all retryable failures.
        bounds: Files, batches and dollars of a deployment that events start. None for other deployments.
    """
    selection = RowSelection(only_failed=True, errors=errors)
    await tag_run(batch=batch.name, endpoint=batch.model, **batch.tags.named())
    async with shared_ledger():
        batch = await admit_known_batch(batch, bounds)
        batch = await approved(batch, bounds, lambda: quote_batch(batch, selection))
        plan = await plan_retry(batch, selection)
        await check_worker(batch)
        async with open_sending_session(batch, selection) as session:
            await complete_shards(session, plan)
        return finish(await publish_results(batch, plan, session))
