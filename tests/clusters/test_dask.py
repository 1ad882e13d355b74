"""Members as tasks of Dask: a killed worker leaves its rows to the others, and its member starts again."""

import asyncio
import os
from pathlib import Path

import pytest

from pareta_batch.ledger.ledger import Ledger
from pareta_batch.runners.on_dask import run_on_dask
from pareta_sandbox.testing import Sandbox
from tests.clusters.conftest import all_settled_once, batch_of, killed_while_it_sends, run_on

distributed = pytest.importorskip("distributed")

pytestmark = [pytest.mark.timeout(900), pytest.mark.filterwarnings("default")]  # warnings of Dask


async def test_a_killed_worker_of_a_cluster_at_an_address(tmp_path: Path, service: Sandbox, ledger: Ledger) -> None:
    async with (
        distributed.LocalCluster(
            n_workers=3, threads_per_worker=1, dashboard_address=None, asynchronous=True
        ) as cluster,
        distributed.Client(cluster, asynchronous=True) as client,
    ):
        workers = await client.run(os.getpid)
        address = cluster.scheduler_address
        running = asyncio.ensure_future(run_on(run_on_dask, address, batch_of(tmp_path, "dask"), service, ledger))
        await killed_while_it_sends(service, lambda: list(workers.values()))
        all_settled_once(await running, service)


async def test_a_cluster_of_this_machine_is_started_and_closed(
    tmp_path: Path, service: Sandbox, ledger: Ledger
) -> None:
    all_settled_once(await run_on(run_on_dask, None, batch_of(tmp_path, "dask"), service, ledger), service)
