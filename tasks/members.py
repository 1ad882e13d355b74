"""Members of a run: the runner of a batch, checked and started."""

from collections.abc import Sequence

from pareta_batch import Batch, KeyClient, Ledger, Member, MemberJob, RunnerUnavailable, StartMembers, run_local
from pareta_batch import check_runner as check_packages
from tasks.credentials import make_client
from tasks.direct import NEEDS_API, uses_prefect
from tasks.resources import shared_ledger


def check_members(batch: Batch, ledger: Ledger) -> None:
    """Check that the runner of a batch can start its members; nothing is sent.

    Raises RunnerUnavailable, LedgerError.
    """
    if batch.runner == "pool" and not uses_prefect():
        raise RunnerUnavailable(f"runner 'pool': {NEEDS_API}")
    check_packages(batch, ledger)


async def starter_of(batch: Batch) -> StartMembers:
    """Return the function that starts the members of a batch by its runner."""
    # Read once: a member of this machine needs neither Prefect nor the credentials block.
    async with await make_client() as client:
        own_key = KeyClient(client.api_key, client.base_url)

    async def start(members: Sequence[Member]) -> None:
        async with shared_ledger() as ledger:
            await run_local([MemberJob(batch, member, ledger.url, own_key) for member in members])

    return start
