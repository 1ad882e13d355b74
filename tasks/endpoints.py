"""Tasks of an endpoint's life: deploy or reuse, wait until live, one smoke call, stop."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from pareta_batch import BatchBusy, endpoint_named, id_of, mark_bought
from pareta_batch import wait_until_live as endpoint_live
from pareta_client import APIConnectionError, AsyncPareta, DeployError, Endpoint, NotFoundError, ParetaError
from tasks import events
from tasks.resources import shared_client, shared_ledger
from tasks.retries import RETRIES

LOOK_AGAIN_S = 1.0


@task(task_run_name="deploy or reuse {name}", cache_policy=NO_CACHE, **RETRIES)
async def deploy_or_reuse(name: str, task: str, model: str) -> str:
    """Give the id of the endpoint of this name and task, deployed only if there is none."""
    async with alone_with(name), shared_client() as pareta:
        found = await endpoint_named(pareta, name, task)
        if found is not None:
            get_run_logger().info("endpoint %s (%s) is there already: %s", found.id, name, found.status)
            return id_of(found)
        try:
            return await _deploy(pareta, name, task, model)
        except APIConnectionError:
            # The stream was cut, the deployment may go on: look before anybody deploys a second one.
            found = await endpoint_named(pareta, name, task)
            if found is None:
                raise
            return id_of(found)


@task(task_run_name="wait until {endpoint_id} is live", cache_policy=NO_CACHE, **RETRIES)
async def wait_until_live(endpoint_id: str, ready_within_s: float) -> None:
    """Start the endpoint if it is stopped, and wait until it is live."""
    async with shared_client() as pareta:
        endpoint = await endpoint_live(pareta, endpoint_id, deadline_s=ready_within_s)
    get_run_logger().info("endpoint %s is live: %s for %s", endpoint.id, endpoint.model, endpoint.task)
    events.endpoint_ready(endpoint)


@task(task_run_name="smoke call to {endpoint_id}", cache_policy=NO_CACHE, **RETRIES)
async def smoke_call(endpoint_id: str, purchase: str) -> None:
    """Ask the endpoint one short question, so that a dead one is found before a batch is; write what it was billed."""
    question = [{"role": "user", "content": "Answer with the word ready."}]
    async with shared_client() as pareta:
        answer = await pareta.chat.completions.create(model=endpoint_id, messages=question, max_tokens=8)
    if answer.billed_micro_usd is not None:
        async with shared_ledger() as ledger:
            await asyncio.to_thread(mark_bought, ledger, purchase, answer.request_id, answer.billed_micro_usd)
    get_run_logger().info("endpoint %s answered a smoke call (request %s)", endpoint_id, answer.request_id)


@task(task_run_name="stop {endpoint_id}", cache_policy=NO_CACHE, **RETRIES)
async def stop_endpoint(endpoint_id: str) -> None:
    """Stop the endpoint: a live one costs money."""
    log = get_run_logger()
    async with shared_client() as pareta:
        try:
            await pareta.endpoints.stop(endpoint_id)
        except NotFoundError:
            log.info("endpoint %s is gone", endpoint_id)
            return
        except ParetaError:
            log.exception("endpoint %s may still be live, and a live one costs money", endpoint_id)
            raise
    log.info("endpoint %s is stopped", endpoint_id)


@task(task_run_name="find {name}", cache_policy=NO_CACHE, **RETRIES)
async def find_endpoint(name: str, task: str) -> str | None:
    """Give the id of the endpoint of this name and task, if there is one."""
    async with shared_client() as pareta:
        found = await endpoint_named(pareta, name, task)
        return None if found is None else id_of(found)


@asynccontextmanager
async def alone_with(name: str) -> AsyncIterator[None]:
    """Let nobody else deploy under this name meanwhile: whoever comes second finds the endpoint of the first.

    All runs that share a ledger wait for each other here; what a killed run held is free at once.
    """
    async with shared_ledger() as ledger:
        with ExitStack() as held:
            while True:
                try:
                    # No batch has a name with a colon.
                    held.enter_context(ledger.lease(f"endpoint:{name}"))
                    break
                except BatchBusy:
                    await asyncio.sleep(LOOK_AGAIN_S)
            yield


async def _deploy(pareta: AsyncPareta, name: str, task: str, model: str) -> str:
    log = get_run_logger()
    async for event in await pareta.endpoints.deploy(task=task, model=model, name=name):
        match event["event"]:
            case "progress":
                log.info("deploying %s: %s %s %%", name, event["data"].get("stage"), event["data"].get("pct"))
            case "complete":
                return id_of(Endpoint.model_validate(event["data"]["endpoint"]))
            case "error":
                raise DeployError(f"deploying {name} failed: {event['data'].get('message')}")
    raise APIConnectionError(f"the deployment of {name} ended without a result")
