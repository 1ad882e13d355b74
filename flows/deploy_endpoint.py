"""Flow that deploys an endpoint, or reuses the one of that name, and checks that it answers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Annotated

from flows.direct import flow
from flows.forms import OfDeployment, titled
from flows.outcomes import named_outcome
from flows.parameters import Deployment
from pareta_batch import ENDPOINT, NO_ACCOUNT, Account, record_owner, traced
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
async def deploy_endpoint(
    deployment: Annotated[Deployment, OfDeployment("deployment"), titled("Endpoint")],
) -> str:
    """Deploy or reuse the endpoint of this name and task, wait until it answers, and return its id.

    Args:
        deployment: Name, task and model of the endpoint. Fields that are not set are those of the deployment.
    """
    async with serving(deployment, stop=False, account=deployment.account) as endpoint_id:
        return endpoint_id


@asynccontextmanager
async def serving(deployment: Deployment, *, stop: bool, account: Account = NO_ACCOUNT) -> AsyncIterator[str]:
    """Yield the id of an endpoint that is live and answers; if `stop`, stop it on success and on failure.

    The cost of the smoke call is reserved under the account before the deployment.
    """
    async with shared_client(), shared_ledger() as ledger, AsyncExitStack() as at_end:
        smoke = await reserve_smoke_call(deployment.name, deployment.task, deployment.model, account)
        with traced("deployment", deployment.name, deployment.tags) as span:
            endpoint_id = span["pareta.endpoint"] = await deploy(deployment, stop=stop)
            if stop:
                at_end.push_async_callback(stop_endpoint, endpoint_id)
            await tag_run(endpoint=endpoint_id)
            await asyncio.to_thread(record_owner, ledger, ENDPOINT + endpoint_id, None, deployment.tags)
            await wait_until_live(endpoint_id, deployment.ready_within_s)
            await smoke_call(endpoint_id, smoke)
        yield endpoint_id


async def deploy(deployment: Deployment, *, stop: bool) -> str:
    """Deploy or reuse the endpoint and return its id; if `stop`, stop a deployment that outlives a failed run."""
    try:
        return await deploy_or_reuse(deployment.name, deployment.task, deployment.model)
    except (ParetaError, asyncio.CancelledError):
        if stop and (started := await find_endpoint(deployment.name, deployment.task)):
            await stop_endpoint(started)
        raise
