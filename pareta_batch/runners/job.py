"""The work of one member process, in a form that another process can read."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import sqlalchemy as sa

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
class MemberJob:
    """The work of one member; picklable, and its repr hides the URL of the ledger and its password."""

    batch: Batch
    member: Member
    ledger: sa.URL = field(repr=False)
    client: ClientFactory

    async def run(self) -> MemberReport:
        """Work as the member, with a ledger and a client of its own; raises as `work_as_member`."""
        ledger = await asyncio.to_thread(Ledger.open, self.ledger.render_as_string(hide_password=False))
        try:
            return await work_as_member(self.batch, await self.client(), ledger, self.member)
        finally:
            ledger.close()


def check_outcomes(batch: str, outcomes: Mapping[int, MemberOutcome]) -> None:
    """Log the members that ended with an error, and raise the first error if no member has a report.

    Args:
        batch: Name of the batch.
        outcomes: Outcome of each member by its number.
    """
    errors = {number: outcome for number, outcome in outcomes.items() if isinstance(outcome, Exception)}
    for number, error in errors.items():
        log.warning("batch %s: member %d ended: %s: %s", batch, number, type(error).__name__, error)
    if errors and not any(isinstance(outcome, MemberReport) for outcome in outcomes.values()):
        raise next(iter(errors.values()))
