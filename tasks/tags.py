"""Tags to find the runs of a batch or of an endpoint in the Prefect UI."""

from pareta_batch import name_run
from tasks.direct import current_flow_run


async def tag_run(**named: str) -> None:
    """Add a tag of each kind and name, as in `batch:tickets`, to this flow run; log lines and spans have them too.

    Only the flow run is tagged: for every tagged task run Prefect asks the server for a concurrency slot.
    """
    name_run(**named)
    tags = [f"{kind}:{name}" for kind, name in named.items()]
    run = current_flow_run()
    if run is None:
        return
    from prefect import get_client

    run.tags = sorted({*run.tags, *tags})
    async with get_client() as client:
        await client.update_flow_run(run.id, tags=run.tags)
