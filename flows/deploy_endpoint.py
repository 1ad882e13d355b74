"""Deploy an endpoint, or reuse the one of that name, and see that it answers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prefect import flow

from flows.outcomes import named_outcome
from flows.parameters import Deployment
from pareta_batch import NO_ACCOUNT, Account
from pareta_client import ParetaError
from tasks import (
    deploy_or_reuse,
    find_endpoint,
    reserve_smoke_call,
    shared_client,
    shared_ledger,
    smoke_call,
    stop_endpoint,
    tag_run,
    wait_until_live,
)


@flow(name="deploy-endpoint", flow_run_name="deploy {deployment.name}")
@named_outcome
async def deploy_endpoint(deployment: Deployment) -> str:
    """Have an endpoint of this name and task live and answering; give its id."""
    async with serving(deployment, stop=False) as endpoint_id:
        return endpoint_id


@asynccontextmanager
async def serving(deployment: Deployment, *, stop: bool, account: Account = NO_ACCOUNT) -> AsyncIterator[str]:
    """Have an endpoint live and answering while the body runs; `stop` it at the end, whatever the end is.

    The smoke call is bought under the account, before anything is deployed.
    """
    async with shared_client(), shared_ledger():
        smoke = await reserve_smoke_call(deployment.name, deployment.task, deployment.model, account)
        endpoint_id = await deployed(deployment, stop=stop)
        try:
            await tag_run(endpoint=endpoint_id)
            await wait_until_live(endpoint_id, deployment.ready_within_s)
            await smoke_call(endpoint_id, smoke)
            yield endpoint_id
        finally:
            if stop:
                await stop_endpoint(endpoint_id)


async def deployed(deployment: Deployment, *, stop: bool) -> str:
    """Deploy or reuse the endpoint and give its id; `stop` what goes on at the service when this run does not."""
    try:
        return await deploy_or_reuse(deployment.name, deployment.task, deployment.model)
    except (ParetaError, asyncio.CancelledError):
        if stop and (begun := await find_endpoint(deployment.name, deployment.task)):
            await stop_endpoint(begun)
        raise
