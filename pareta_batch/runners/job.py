"""The work of one member process, in a form that another process can read."""

import asyncio
import logging
import os
import pickle
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import sqlalchemy as sa

from pareta_batch.errors import RunnerUnavailable, UnexpectedError
from pareta_batch.ledger import Ledger
from pareta_batch.members import Member, MemberReport, work_as_member
from pareta_batch.spec import Batch
from pareta_client import AsyncPareta

ClientFactory = Callable[[], Awaitable[AsyncPareta]]
"""Makes the client of a member, in its process; picklable."""

MemberOutcome = MemberReport | Exception | None
"""The report of a member, its error, or None if its process ended without either."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class KeyClient:
    """A client factory with the key itself, for a process of this machine; its repr hides the key."""

    api_key: str = field(repr=False)
    base_url: str

    async def __call__(self) -> AsyncPareta:
        """Return a client; its other settings come from the environment."""
        return AsyncPareta.from_env(api_key=self.api_key, base_url=self.base_url)


@dataclass(frozen=True)
class ClusterClient:
    """A client factory for a process on another machine, which reads the key itself.

    The key is that of the credentials block, if the run uses a Prefect API; else PARETA_API_KEY of the process.

    Attributes:
        base_url: Address of the service, the same for all members.
        credentials: Name of the credentials block; None for the default account.
        prefect_api_url: Address of the Prefect API; None without one.
        modules: Names under which the module that reads the block may be installed.
    """

    base_url: str
    credentials: str | None = None
    prefect_api_url: str | None = None
    modules: Sequence[str] = ()

    async def __call__(self) -> AsyncPareta:
        """Return a client; raises ParetaError without a key."""
        if self.prefect_api_url is None:
            return AsyncPareta.from_env(base_url=self.base_url)
        os.environ.setdefault("PREFECT_API_URL", self.prefect_api_url)
        os.environ.setdefault("PARETA_BASE_URL", self.base_url)
        make_client: Callable[[str | None], Awaitable[AsyncPareta]] = _first_module(self.modules).make_client
        return await make_client(self.credentials)


def _first_module(names: Sequence[str]) -> Any:  # a module of a layer above, by name
    for name in names:
        with suppress(ImportError, AttributeError):
            module = import_module(name)
            module.make_client  # noqa: B018 - another package may have a module of this name
            return module
    raise RunnerUnavailable(f"{names[0]} is not installed in this process: install pareta-pipelines on the cluster")


@dataclass(frozen=True)
class MemberJob:
    """The work of one member; picklable, and its repr hides the URL of the ledger and its password."""

    batch: Batch
    member: Member
    ledger: sa.URL = field(repr=False)
    client: ClientFactory

    async def run(self) -> MemberReport:
        """Send rows as the member, with a ledger and a client of its own; raises as `work_as_member`."""
        ledger = await asyncio.to_thread(Ledger.open, self.ledger.render_as_string(hide_password=False))
        try:
            return await work_as_member(self.batch, await self.client(), ledger, self.member)
        finally:
            ledger.close()


def work(job: MemberJob) -> MemberOutcome:
    """Run a job in a process of a cluster; an error is returned, so that it reaches the parent as it is."""
    try:
        return asyncio.run(job.run())
    except Exception as error:  # noqa: BLE001 - the parent reports it
        return picklable(error, job)


def picklable(error: Exception, job: MemberJob) -> Exception:
    """Return the error, or an UnexpectedError with its text if it cannot be pickled."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - of this process
    except Exception:  # noqa: BLE001 - an error of any library
        return UnexpectedError.of(error, f"member {job.member.number}")
    return error


def check_outcomes(jobs: Sequence[MemberJob], outcomes: Sequence[MemberOutcome]) -> None:
    """Log the jobs that ended with an error, and raise the first error if no job has a report."""
    errors = [(job, outcome) for job, outcome in zip(jobs, outcomes, strict=True) if isinstance(outcome, Exception)]
    for job, error in errors:
        name, number = job.batch.name, job.member.number
        log.warning("batch %s: member %d ended: %s: %s", name, number, type(error).__name__, error)
    if errors and not any(isinstance(outcome, MemberReport) for outcome in outcomes):
        raise errors[0][1]
