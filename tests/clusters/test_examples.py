"""The examples of Ray and Dask, at small size, with a process that is killed and with other blocks."""

import asyncio
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from examples import dask_dataframe, dask_members, ray_data
from pareta_batch.ledger.ledger import Ledger
from pareta_sandbox.testing import Sandbox
from tests.clusters.conftest import killed_while_it_sends, ray_processes

pytest.importorskip("distributed")
ray = pytest.importorskip("ray")

pytestmark = [pytest.mark.timeout(900), pytest.mark.filterwarnings("default")]  # warnings of Ray and Dask

ROWS = 400
TICKETS = pd.DataFrame({"id": range(ROWS), "ticket": [f"My invoice number {n} is wrong." for n in range(ROWS)]})


async def test_dask_members_settle_every_row_once(
    service: Sandbox, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    service.change(latency_ms=5)
    report = await dask_members.run()
    assert report.status == "completed"
    assert report.pending == 0
    service.debited_once()
    assert ledger.tally("tickets-of-dask").settled == report.settled


def actors() -> Sequence[int]:
    """Return the ids of the processes of Ray below this process that answer blocks."""
    return ray_processes("ray::MapWorker")


async def test_blocks_of_ray_pay_each_row_once_with_a_killed_actor_and_other_blocks(
    service: Sandbox, ledger: Ledger
) -> None:
    ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False)
    try:
        tickets = ray.data.from_pandas(TICKETS)
        answering = asyncio.create_task(asyncio.to_thread(lambda: ray_data.answers(tickets, 20).to_pandas()))
        await killed_while_it_sends(service, actors)
        all_answered(await answering, service)
        before = service.books()
        all_answered(await asyncio.to_thread(lambda: ray_data.answers(tickets, 33, 1).to_pandas()), service)
        service.silent_since(before)
    finally:
        ray.shutdown()
    assert ledger.tally("tickets-of-ray").settled == ROWS


async def test_partitions_of_dask_pay_each_row_once_with_a_killed_worker_and_other_partitions(
    service: Sandbox, ledger: Ledger
) -> None:
    import dask.dataframe as dd
    from distributed import Client, LocalCluster

    def computed(partitions: int) -> Callable[[], Any]:
        return lambda: dask_dataframe.answers(dd.from_pandas(TICKETS, npartitions=partitions)).compute()

    with (
        LocalCluster(n_workers=3, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        workers = list(client.run(os.getpid).values())
        answering = asyncio.create_task(asyncio.to_thread(computed(12)))
        await killed_while_it_sends(service, lambda: workers)
        all_answered(await answering, service)
        before = service.books()
        all_answered(await asyncio.to_thread(computed(5)), service)
        service.silent_since(before)
    assert ledger.tally("tickets-of-dask-dataframe").settled == ROWS


def all_answered(answers: pd.DataFrame, service: Sandbox) -> None:
    assert sorted(answers["id"]) == list(range(ROWS))
    assert answers["answer"].notna().all()
    service.completed(ROWS)
    service.debited_once()
    service.never_more_in_flight_than(32)  # the calls of a killed process may still be at the service
