"""Runner `local`: each member is a process of this machine, spawned by `multiprocessing`."""

import asyncio
import logging
import multiprocessing
import signal
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import cast

from pareta_batch.runners.job import MemberJob, MemberOutcome, check_outcomes, picklable

END_TIMEOUT_S = 2.0
"""Seconds from SIGTERM to SIGKILL for members that are left; their calls had time to settle before. Higher waits longer
for a member that hangs."""

# A fork would copy the threads' locks of this process in any state.
SPAWN = multiprocessing.get_context("spawn")

log = logging.getLogger(__name__)


async def run_on_this_machine(jobs: Sequence[MemberJob]) -> None:
    """Run each job in a process of its own, and return when all have ended; cancelling ends them.

    Raises the first error of a member if no member has a report.
    """
    started: list[_MemberProcess] = []
    try:
        for job in jobs:
            started.append(_MemberProcess(job))
        outcomes = await asyncio.gather(*(process.outcome() for process in started))
    finally:
        await asyncio.to_thread(_end_all, started)
    check_outcomes(jobs, outcomes)


class _MemberProcess:
    """A member in a process; it reports through a pipe."""

    def __init__(self, job: MemberJob) -> None:
        self.number = job.member.number
        self._batch = job.batch.name
        self._reports, reports = SPAWN.Pipe(duplex=False)
        # Daemonic: `multiprocessing` ends it when this process exits in an orderly way.
        self.process = SPAWN.Process(target=_serve, args=(job, reports), name=f"member-{self.number}", daemon=True)
        self.process.start()
        reports.close()

    async def outcome(self) -> MemberOutcome:
        """Wait until the process has ended, and return its outcome."""
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self.process.sentinel, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(self.process.sentinel)
        self.process.join()  # at once: its end of the sentinel is closed
        with suppress(EOFError, OSError):
            return cast(MemberOutcome, self._reports.recv())
        log.warning(
            "batch %s: member %d (process %s) was ended by %s; the others send its rows",
            self._batch,
            self.number,
            self.process.pid,
            _end_of(self.process.exitcode),
        )
        return None


def _end_of(exit_code: int | None) -> str:
    """Return the signal or the exit status of a process."""
    if exit_code is not None and exit_code < 0:
        return signal.Signals(-exit_code).name
    return f"exit status {exit_code}"


def _end_all(started: Sequence[_MemberProcess]) -> None:
    """End the processes that are left, and release all of them."""
    for member in started:
        member.process.terminate()
    for member in started:
        member.process.join(END_TIMEOUT_S)
        if member.process.is_alive():
            member.process.kill()
            member.process.join()
        member.process.close()


def _serve(job: MemberJob, reports: Connection) -> None:
    """Run the job in this process, and send its outcome."""
    # Ctrl-C and a closed terminal reach the whole process group: the parent decides, and stops all members.
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    outcome: MemberOutcome
    try:
        outcome = asyncio.run(_work(job))
    except asyncio.CancelledError:
        return
    except Exception as error:  # noqa: BLE001 - the parent reports it
        outcome = picklable(error, job)
    with suppress(BrokenPipeError):  # the parent has ended
        reports.send(outcome)


async def _work(job: MemberJob) -> MemberOutcome:
    """Run the job; SIGTERM and the end of the parent stop this member, and its calls settle."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    parent = multiprocessing.parent_process()
    assert task is not None
    assert parent is not None

    def stop() -> None:
        loop.remove_reader(parent.sentinel)
        task.cancel()

    loop.add_reader(parent.sentinel, stop)
    loop.add_signal_handler(signal.SIGTERM, stop)
    return await job.run()
