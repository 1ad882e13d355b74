"""Tags by which a person finds the runs of a batch or of an endpoint in the Prefect UI."""

from prefect import get_client
from prefect.context import FlowRunContext


async def tag_run(*, batch: str | None = None, endpoint: str | None = None) -> None:
    """Tag this flow run with its batch and its endpoint, beside the tags that it has.

    The run alone: a tag of a task run costs a question to the server for a slot of it, every time.
    """
    given = {"batch": batch, "endpoint": endpoint}
    tags = [f"{kind}:{name}" for kind, name in given.items() if name is not None]
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        return
    run = context.flow_run
    run.tags = sorted({*run.tags, *tags})
    async with get_client() as client:
        await client.update_flow_run(run.id, tags=run.tags)
