"""Tags to find the runs of a batch or of an endpoint in the Prefect UI."""

from prefect import get_client
from prefect.context import FlowRunContext


async def tag_run(*, batch: str | None = None, endpoint: str | None = None) -> None:
    """Add tags for the batch and the endpoint to this flow run.

    Only the flow run is tagged: for every tagged task run Prefect asks the server for a concurrency slot.
    """
    named = {"batch": batch, "endpoint": endpoint}
    tags = [f"{kind}:{name}" for kind, name in named.items() if name is not None]
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        return
    run = context.flow_run
    run.tags = sorted({*run.tags, *tags})
    async with get_client() as client:
        await client.update_flow_run(run.id, tags=run.tags)
