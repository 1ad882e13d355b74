"""Runner `pool`: each member is a run of one deployment, so that a work pool of any type serves."""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict
from uuid import UUID

import httpx
from prefect import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.deployments import arun_deployment
from prefect.exceptions import ObjectNotFound, PrefectException
from prefect.states import Cancelled, Cancelling, Crashed

from pareta_batch import Batch, Member, RunnerUnavailable
from tasks.direct import NEEDS_API, run_logger, uses_prefect

MEMBER_DEPLOYMENT = "work-on-batch/batch-member"
POLL_INTERVAL_S = 1.0
"""Seconds between two readings of the members' runs. Raising it notices their end later and spares the server."""
START_WARNING_S = 60.0
"""Seconds without a started member until a warning. Raising it tolerates slower work pools."""
LOST_AFTER_S = 300.0
"""Seconds without a lock in the ledger until a running member is taken for dead. Raising it waits longer for a machine
that died, and tolerates members that start slower."""
RUNS_PER_PAGE = 200
"""Runs per request. The server returns no more by default; raising it leaves members out."""

AT_WORK = frozenset({StateType.RUNNING, StateType.CANCELLING})
NOT_STARTED = frozenset({StateType.SCHEDULED, StateType.PENDING})
ENDED = frozenset({StateType.COMPLETED, StateType.FAILED, StateType.CRASHED, StateType.CANCELLED})

log = logging.getLogger(__name__)


async def check_pool() -> None:
    """Check that the Prefect server has the deployment of members. Raises RunnerUnavailable."""
    if not uses_prefect():
        raise RunnerUnavailable(f"runner 'pool': {NEEDS_API}")
    async with get_client() as client:
        try:
            await client.read_deployment_by_name(MEMBER_DEPLOYMENT)
        except ObjectNotFound:
            step = "run `pareta-pipeline set-up`"
            raise RunnerUnavailable(f"runner 'pool': no deployment {MEMBER_DEPLOYMENT}; {step}") from None


async def run_on_pool(
    batch: Batch,
    members: Sequence[Member],
    ledger: str,
    stopped: Callable[[], bool],
    living: Callable[[], Collection[int]],
) -> None:
    """Start a run for each member, and return when all have ended; cancelling this cancels them.

    A run that no worker has started is cancelled once another member has ended, or the batch is stopped. A run whose
    member has no lock in the ledger for `LOST_AFTER_S` becomes Crashed: its machine has died.

    Args:
        batch: The batch.
        members: The members.
        ledger: Id of the ledger, which each member compares with its own.
        stopped: Returns whether the batch is stopped.
        living: Returns the numbers of the members whose lock in the ledger is held.
    """
    started: dict[UUID, int] = {}
    try:
        for member in members:
            started[await _start(batch, member, ledger)] = member.number
        await _wait(batch, started, stopped, living)
    except BaseException:
        await _cancel(await _read(list(started)) or [])
        raise


async def _start(batch: Batch, member: Member, ledger: str) -> UUID:
    parameters = {"batch": batch.model_dump(mode="json"), "member": asdict(member), "ledger": ledger}
    return (await arun_deployment(MEMBER_DEPLOYMENT, parameters=parameters, timeout=0)).id


async def _wait(
    batch: Batch, started: Mapping[UUID, int], stopped: Callable[[], bool], living: Callable[[], Collection[int]]
) -> None:
    reported: set[UUID] = set()
    unlocked: dict[UUID, float] = {}
    waited_s = 0.0
    while True:
        if (runs := await _read(list(started))) is None:
            await asyncio.sleep(POLL_INTERVAL_S)
            continue
        ended = [run for run in runs if run.state_type in ENDED]
        for run in ended:
            if run.id not in reported and run.state_type is not StateType.COMPLETED:
                run_logger().warning("batch %s: member %r ended: %s", batch.name, run.name, run.state)
            reported.add(run.id)
        # A run that a person deleted is not among them.
        if len(ended) == len(runs):
            return
        if stopped() or any(run.state_type is StateType.COMPLETED for run in ended):
            await _cancel([run for run in runs if run.state_type in NOT_STARTED])
        dead = [run for run in runs if run.state_type in AT_WORK and started[run.id] not in living()]
        await _end_lost(batch, dead, unlocked)
        await asyncio.sleep(POLL_INTERVAL_S)
        waited_s += POLL_INTERVAL_S
        if waited_s == START_WARNING_S and all(run.state_type in NOT_STARTED for run in runs):
            step = "start one: prefect worker start --pool NAME"
            run_logger().warning("batch %s: no worker has started a member yet; %s", batch.name, step)


async def _read(ids: Sequence[UUID]) -> list[FlowRun] | None:
    """Return the runs that exist; None while the server cannot be reached."""
    try:
        async with get_client() as client:
            pages = [ids[first : first + RUNS_PER_PAGE] for first in range(0, len(ids), RUNS_PER_PAGE)]
            filters = [FlowRunFilter(id=FlowRunFilterId(any_=list(page))) for page in pages]
            return [run for each in filters for run in await client.read_flow_runs(flow_run_filter=each)]
    except httpx.HTTPError as error:
        log.warning("the runs of the members cannot be read: %s", error)
        return None


async def _end_lost(batch: Batch, runs: Sequence[FlowRun], unlocked: dict[UUID, float]) -> None:
    """End the runs without a lock for `LOST_AFTER_S`; `unlocked` has the time since when each has none."""
    now = time.monotonic()
    since = {run.id: unlocked.get(run.id, now) for run in runs}
    unlocked.clear()
    unlocked.update(since)
    for run in runs:
        if now - since[run.id] >= LOST_AFTER_S:
            problem = f"its process has died: its lock in the ledger has been gone for {LOST_AFTER_S:.0f} s"
            run_logger().warning("batch %s: member %r: %s; the others send its rows", batch.name, run.name, problem)
            await _set_state(run, Crashed(message=f"the member is lost: {problem}"))


async def _cancel(runs: Sequence[FlowRun]) -> None:
    for run in runs:
        if run.state_type not in ENDED:
            await _set_state(run, Cancelled() if run.state_type is StateType.SCHEDULED else Cancelling())


async def _set_state(run: FlowRun, state: State[object]) -> None:
    """Set the state of a member's run; log a failure: the ledger stops a member of a run that has ended, too."""
    try:
        async with get_client() as client:
            await client.set_flow_run_state(run.id, state)
    except (httpx.HTTPError, PrefectException) as error:
        log.warning("member %r does not become %s: %s: %s", run.name, state.name, type(error).__name__, error)
