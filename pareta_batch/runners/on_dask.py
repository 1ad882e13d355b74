"""Runner `dask`: each member is a task of a Dask cluster."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from pareta_batch.runners.job import MemberJob, MemberOutcome, check_outcomes, work

log = logging.getLogger(__name__)


async def run_on_dask(jobs: Sequence[MemberJob], cluster: str | None) -> None:
    """Run each job as a task of the cluster at an address, by default of one on this machine.

    Returns when all have ended; cancelling leaves the members to the stop of their run. Dask starts the task of a lost
    worker again, at another one. Raises the first error of a member if no member has a report.
    """
    async with _connected(cluster, len(jobs)) as client:
        # Not pure: two members of equal jobs are two tasks.
        started = [client.submit(work, job, pure=False) for job in jobs]
        try:
            ended = await asyncio.gather(*(_outcome(job, task) for job, task in zip(jobs, started, strict=True)))
        except BaseException:
            await client.cancel(started, force=True)
            raise
    check_outcomes(jobs, ended)


@asynccontextmanager
async def _connected(cluster: str | None, members: int) -> AsyncIterator[Any]:  # an optional package without types
    from distributed import Client, LocalCluster

    if cluster is not None:
        async with Client(cluster, asynchronous=True) as client:
            yield client
        return
    options = {"n_workers": members, "threads_per_worker": 1, "dashboard_address": None}
    async with (
        LocalCluster(asynchronous=True, silence_logs=logging.WARNING, **options) as local,
        Client(local, asynchronous=True) as client,
    ):
        yield client


async def _outcome(job: MemberJob, task: Any) -> MemberOutcome:
    try:
        outcome: MemberOutcome = await task
    except Exception as lost:  # noqa: BLE001 - errors of a member are returned: this is one of the cluster
        name, number = job.batch.name, job.member.number
        log.warning("batch %s: member %d was lost, the others send its rows: %r", name, number, lost)
        return None
    return outcome
