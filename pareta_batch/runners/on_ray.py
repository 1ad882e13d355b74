"""Runner `ray`: each member is a task of a Ray cluster."""

import asyncio
import logging
import os
from collections.abc import Sequence
from typing import Any

from pareta_batch.runners.job import MemberJob, MemberOutcome, check_outcomes, work

log = logging.getLogger(__name__)


async def run_on_ray(jobs: Sequence[MemberJob], cluster: str | None) -> None:
    """Run each job as a task of the cluster at an address, by default of one on this machine.

    Returns when all have ended; cancelling ends them. Uses the connection of this process to Ray, if it has one.
    Raises the first error of a member if no member has a report.
    """
    import ray

    connects = not ray.is_initialized()
    if connects:
        await asyncio.to_thread(_connect, cluster, len(jobs))
    try:
        # A job is an argument and no variable of a runtime environment, which the dashboard shows.
        task = ray.remote(max_retries=0, num_cpus=1, scheduling_strategy="SPREAD")(work)
        started = [task.remote(job) for job in jobs]
        try:
            ended = await asyncio.gather(*(_outcome(job, task) for job, task in zip(jobs, started, strict=True)))
        except BaseException:
            for each in started:
                ray.cancel(each, force=True)
            raise
    finally:
        if connects:
            await asyncio.to_thread(ray.shutdown)
    check_outcomes(jobs, ended)


def _connect(cluster: str | None, members: int) -> None:
    """Connect to a cluster, or start one on this machine that runs all members at once."""
    import ray

    if cluster is not None:
        ray.init(address=cluster, log_to_driver=False)
        return
    ray.init(num_cpus=max(members, os.cpu_count() or 1), include_dashboard=False, log_to_driver=False)


async def _outcome(job: MemberJob, task: Any) -> MemberOutcome:  # a reference of Ray, which has no types here
    from ray.exceptions import RayError, RayTaskError

    try:
        outcome: MemberOutcome = await asyncio.wrap_future(task.future())
    except (RayError, RayTaskError) as lost:
        name, number = job.batch.name, job.member.number
        log.warning("batch %s: member %d was lost, the others send its rows: %s", name, number, lost)
        return None
    return outcome
