"""Members and parents in processes of their own, that can be killed."""

import asyncio
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict
from multiprocessing.process import BaseProcess
from typing import Any

import sqlalchemy as sa

from pareta_batch.errors import Orphaned
from pareta_batch.ledger.ledger import Ledger
from pareta_batch.ledger.run_tables import member_runs
from pareta_batch.members import Member, work_as_member
from pareta_batch.run import run_with_members
from pareta_batch.spec import Batch
from pareta_client import AsyncPareta
from pareta_sandbox.testing import Sandbox
from tests.forks import FORKS, forked

FORKS.set_forkserver_preload([__name__, "pareta_client.transport.aiohttp_channel"])

ORPHANED = 7
"""Exit status of a member whose parent has ended."""


class Processes:
    """The members of a run, each in a process; the ones that are left are killed at the end."""

    def __init__(self, batch: Batch, sandbox: Sandbox, url: str) -> None:
        self._given = (batch.model_dump_json(), sandbox.api_key, sandbox.base_url, url)
        self._opened = ExitStack()
        self.running: list[BaseProcess] = []

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def start(self, member: Member) -> BaseProcess:
        """Start one member."""
        process = self._opened.enter_context(forked(_work, *self._given, asdict(member)))
        self.running.append(process)
        return process

    async def start_all(self, members: Sequence[Member]) -> None:
        """Start all members, and wait until every process has ended."""
        for member in members:
            self.start(member)
        while any(process.is_alive() for process in self.running):  # noqa: ASYNC110 - it happens in another process
            await asyncio.sleep(0.02)


def parent_elsewhere(batch: Batch, url: str) -> AbstractContextManager[BaseProcess]:
    """Lead a batch from another process; its members are started here, from the run's row in the ledger."""
    return forked(_lead, batch.model_dump_json(), url)


def run_of(ledger: Ledger) -> str | None:
    """Return the id of the run that is led; None before it has begun."""
    with ledger.transaction() as db:
        return db.scalar(sa.select(member_runs.c.run))


def _work(batch: str, api_key: str, base_url: str, url: str, member: dict[str, Any]) -> None:
    client = AsyncPareta(api_key=api_key, base_url=base_url)
    member["errors"] = tuple(member["errors"])
    try:
        asyncio.run(work_as_member(Batch.model_validate_json(batch), client, Ledger.open(url), Member(**member)))
    except Orphaned:
        sys.exit(ORPHANED)


def _lead(batch: str, url: str) -> None:
    async def wait(_: Sequence[Member]) -> None:
        await asyncio.Event().wait()

    asyncio.run(run_with_members(Batch.model_validate_json(batch), Ledger.open(url), 2, wait))
