"""Members of a run: the runner of a batch, checked and started."""

import asyncio
from collections.abc import Sequence
from urllib.parse import urlsplit

from pareta_batch import (
    Batch,
    ClientFactory,
    ClusterClient,
    KeyClient,
    Lead,
    Ledger,
    Member,
    MemberJob,
    StartMembers,
    check_runner,
    ledger_id,
    run_on_dask,
    run_on_ray,
    run_on_this_machine,
)
from tasks.clients import current_credentials, make_client
from tasks.direct import api_url, run_logger
from tasks.resources import shared_ledger

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


async def check_members(batch: Batch, ledger: Ledger) -> None:
    """Check that the runner of a batch can start its members; nothing is sent.

    Raises RunnerUnavailable, LedgerError.
    """
    check_runner(batch, ledger)
    if batch.runner == "pool":
        from tasks.pool import check_pool

        await check_pool()
    for what, host in (("the Prefect API", _api_host()), ("the ledger", ledger.url.host)):
        if _is_remote(batch.cluster) and host in LOOPBACK:
            run_logger().warning("%s at %s: the machines of cluster %s cannot reach it", what, host, batch.cluster)


async def starter_of(lead: Lead) -> StartMembers:
    """Return the function that starts the members of a batch by its runner."""
    batch = lead.batch

    async def start(members: Sequence[Member]) -> None:
        async with shared_ledger() as ledger:
            if batch.runner == "pool":
                from tasks.pool import run_on_pool

                identity = await asyncio.to_thread(ledger_id, ledger)
                await run_on_pool(batch, members, identity, lambda: lead.stop is not None, lambda: lead.living)
                return
            client = await _client_factory(batch)
            jobs = [MemberJob(batch, member, ledger.url, client) for member in members]
            match batch.runner:
                case "ray":
                    await run_on_ray(jobs, batch.cluster)
                case "dask":
                    await run_on_dask(jobs, batch.cluster)
                case _:
                    await run_on_this_machine(jobs)

    return start


async def _client_factory(batch: Batch) -> ClientFactory:
    """Return the maker of the members' clients: with the key itself only for processes of this machine."""
    async with await make_client(batch.credentials) as client:
        if batch.runner == "local":
            return KeyClient(client.api_key, client.base_url)
        names = (make_client.__module__, f"pareta_cli.bundled.{make_client.__module__}")
        return ClusterClient(client.base_url, batch.credentials or current_credentials(), api_url(), names)


def _api_host() -> str | None:
    return urlsplit(api_url() or "").hostname


def _is_remote(cluster: str | None) -> bool:
    """Return whether a cluster is on other machines."""
    host = urlsplit(cluster if "://" in (cluster or "") else f"//{cluster}").hostname if cluster else None
    return host is not None and host != "auto" and host not in LOOPBACK
