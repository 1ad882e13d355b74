"""Tasks of an endpoint: deploy or reuse, wait until live, smoke call, stop."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager

from pareta_batch import BatchBusy, bill_call, endpoint_named, id_of
from pareta_batch import wait_until_live as endpoint_live
from pareta_client import APIConnectionError, AsyncPareta, DeployError, Endpoint, NotFoundError, ParetaError
from tasks import events
from tasks.direct import run_logger, task
from tasks.resources import shared_client, shared_ledger
from tasks.retries import RETRIES

LOCK_POLL_INTERVAL_S = 1.0
"""Seconds between attempts to take the lock of a name. Raising it delays the second of two runs."""


@task(task_run_name="deploy or reuse {name}", **RETRIES)
async def deploy_or_reuse(name: str, task: str, model: str) -> str:
    """Return the id of the endpoint of this name and task; deploy it only if it does not exist."""
    async with endpoint_lock(name), shared_client() as pareta:
        found = await endpoint_named(pareta, name, task)
        if found is not None:
            run_logger().info("reusing endpoint %s (%s): %s", found.id, name, found.status)
            return id_of(found)
        try:
            return await _deploy(pareta, name, task, model)
        except APIConnectionError:
            # The stream broke, but the deployment may continue: look it up before a second deployment.
            found = await endpoint_named(pareta, name, task)
            if found is None:
                raise
            return id_of(found)


@task(task_run_name="wait until {endpoint_id} is live", **RETRIES)
async def wait_until_live(endpoint_id: str, ready_within_s: float) -> None:
    """Start the endpoint if it is stopped, and wait until it is live."""
    async with shared_client() as pareta:
        endpoint = await endpoint_live(pareta, endpoint_id, deadline_s=ready_within_s)
    run_logger().info("endpoint %s is live: %s for %s", endpoint.id, endpoint.model, endpoint.task)
    events.endpoint_ready(endpoint)


@task(task_run_name="smoke call to {endpoint_id}", **RETRIES)
async def smoke_call(endpoint_id: str, purchase: str) -> None:
    """Send one short call, so that a broken endpoint fails before the batch, and record the bill."""
    question = [{"role": "user", "content": "Answer with the word ready."}]
    async with shared_client() as pareta:
        answer = await pareta.chat.completions.create(model=endpoint_id, messages=question, max_tokens=8)
    if answer.billed_micro_usd is not None:
        async with shared_ledger() as ledger:
            await asyncio.to_thread(bill_call, ledger, purchase, answer.request_id, answer.billed_micro_usd)
    run_logger().info("endpoint %s answered a smoke call (request %s)", endpoint_id, answer.request_id)


@task(task_run_name="stop {endpoint_id}", **RETRIES)
async def stop_endpoint(endpoint_id: str) -> None:
    """Stop the endpoint, because a live endpoint costs money."""
    log = run_logger()
    async with shared_client() as pareta:
        try:
            await pareta.endpoints.stop(endpoint_id)
        except NotFoundError:
            log.info("endpoint %s does not exist any more", endpoint_id)
            return
        except ParetaError:
            log.exception("endpoint %s may still be live and cost money; stop it by hand", endpoint_id)
            raise
    log.info("endpoint %s is stopped", endpoint_id)


@task(task_run_name="find {name}", **RETRIES)
async def find_endpoint(name: str, task: str) -> str | None:
    """Return the id of the endpoint of this name and task, or None."""
    async with shared_client() as pareta:
        found = await endpoint_named(pareta, name, task)
        return None if found is None else id_of(found)


@asynccontextmanager
async def endpoint_lock(name: str) -> AsyncIterator[None]:
    """Hold the lock of an endpoint name while the body runs, so that two runs never deploy the same endpoint.

    The lock covers all runs that share a ledger. It is released at once if its holder is killed.
    """
    async with shared_ledger() as ledger:
        with ExitStack() as held:
            while True:
                try:
                    # The colon keeps the name apart from batches, whose names have none.
                    held.enter_context(ledger.lease(f"endpoint:{name}"))
                    break
                except BatchBusy:
                    await asyncio.sleep(LOCK_POLL_INTERVAL_S)
            yield


async def _deploy(pareta: AsyncPareta, name: str, task: str, model: str) -> str:
    log = run_logger()
    async for event in await pareta.endpoints.deploy(task=task, model=model, name=name):
        match event["event"]:
            case "progress":
                log.info("deploying %s: %s %s %%", name, event["data"].get("stage"), event["data"].get("pct"))
            case "complete":
                return id_of(Endpoint.model_validate(event["data"]["endpoint"]))
            case "error":
                raise DeployError(f"deployment of {name!r} failed: {event['data'].get('message')}")
    raise APIConnectionError(f"deployment of {name!r}: the stream ended without a result")
