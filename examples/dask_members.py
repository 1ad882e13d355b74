"""A batch whose members are tasks of a Dask cluster: `python -m examples.dask_members [tcp://scheduler:8786]`.

PARETA_API_KEY and PARETA_LEDGER_URL (PostgreSQL) are set here and on the workers; `runner: dask` does the same.
"""

import asyncio
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from pareta_batch import Batch, BatchReport, Ledger, Member, run_with_members, work_as_member
from pareta_client import AsyncPareta

BATCH = Batch(
    name="tickets-of-dask",
    model="auto",
    dataset=str(Path(__file__).with_name("tickets.csv")),
    prompt="Which team should handle this ticket? {ticket}",
    id_column="id",
    max_in_flight=16,
)
MEMBERS = 3


def work(batch: Batch, member: Member) -> int:
    """Send rows as a member, on a worker of the cluster; return the number of rows it settled."""

    async def working() -> int:
        with closing(Ledger.open()) as ledger:
            report = await work_as_member(batch, AsyncPareta.from_env(), ledger, member)
        return report.counts.settled

    return asyncio.run(working())


async def run(address: str | None = None) -> BatchReport:
    """Run the batch on the cluster at an address, by default on one of this machine; return its report."""
    from distributed import Client

    with closing(Ledger.open()) as ledger:
        async with Client(address, asynchronous=True) as client:

            async def start(members: Sequence[Member]) -> None:
                tasks = [client.submit(work, BATCH, member, pure=False) for member in members]
                print("rows by member:", await client.gather(tasks))

            return await run_with_members(BATCH, ledger, MEMBERS, start)


if __name__ == "__main__":
    print(asyncio.run(run(*sys.argv[1:2])))
