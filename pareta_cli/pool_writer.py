"""Work pools on the server: created, or merged with what a person changed there."""

import os

from prefect.blocks.system import Secret
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.client.schemas.objects import WorkPool
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound

from pareta_batch import CONSOLE_CLASS, LOG_FORMAT
from pareta_cli.deployment_file import SetUpError
from pareta_cli.deployment_writer import Report, read_record, write_record
from pareta_cli.options import PoolType
from pareta_cli.prefect_server import LEDGER
from pareta_cli.setup_merge import merge, record_of
from pareta_cli.work_pool import LEDGER_SECRET, Pool, default_name, default_template, filled, own_values, values_at


async def write_pool(client: PrefectClient, pool: Pool, report: Report, *, reset: bool = False) -> None:
    """Create the work pool; in an existing one, set the values of this project that no person changed.

    Raises SetUpError if the pool has another type.
    """
    values = own_values(pool, environment_of_runs())
    record_name = f"pool {pool.name}"
    found = await _create(client, pool, filled(default_template(pool.type), values) if values else {})
    if found is None:
        await write_record(record_name, record_of(values))
        report(f"work pool {pool.name}: created")
        return
    if found.type != pool.type:
        raise SetUpError(
            f"work pool {pool.name!r}: has type {found.type!r}, not {pool.type.value!r}; pass another --pool"
        )
    present = found.base_job_template
    state, kept = merge(values, values_at(present, values), await read_record(record_name), reset=reset)
    changed = filled(present, state)
    if changed != present:
        await client.update_work_pool(pool.name, WorkPoolUpdate(base_job_template=changed))
    if values:
        await write_record(record_name, record_of(values))
    report(f"work pool {pool.name}: {'unchanged' if changed == present else 'updated'}")
    for each in kept:
        report(f"  kept {each}")


async def check_pool(client: PrefectClient, name: str) -> None:
    """Raise SetUpError, with the work pools of the server, if it has no pool of this name."""
    if await has_pool(client, name):
        return
    has = ", ".join(sorted(each.name for each in await client.read_work_pools())) or "none"
    commands = {default_name(kind): f"pareta-pipeline set-up --pool-type {kind.value}" for kind in PoolType}
    make = commands.get(name, f"prefect work-pool create {name} --type process")
    raise SetUpError(
        f"--pool {name!r:.80}: no such work pool; the server has: {has}; choose one, or make it with: {make}"
    )


async def has_pool(client: PrefectClient, name: str) -> bool:
    """Return whether the server has a work pool of this name."""
    try:
        await client.read_work_pool(name)
    except ObjectNotFound:
        return False
    return True


async def check_queue(client: PrefectClient, pool: str, name: str) -> None:
    """Raise SetUpError, with the queues of the work pool, if it has no queue of this name."""
    try:
        await client.read_work_queue_by_name(name, work_pool_name=pool)
    except ObjectNotFound:
        has = ", ".join(sorted(each.name for each in await client.read_work_queues(work_pool_name=pool)))
        step = f"choose one, or make it with: prefect work-queue create {name} --pool {pool}"
        raise SetUpError(f"--queue {name!r:.80}: work pool {pool!r} has no such queue; it has: {has}; {step}") from None


async def write_ledger_secret(client: PrefectClient, pool: Pool, report: Report) -> str | None:
    """Create the secret block with the ledger's URL of this environment; return a note if it is missing.

    A block that exists is left alone.
    """
    if not pool.in_containers:
        return None
    try:
        await client.read_block_document_by_name(LEDGER_SECRET, "secret")
    except ObjectNotFound:
        url = os.environ.get(LEDGER)
        if not url or url.startswith("sqlite"):
            step = f"create the block Secret {LEDGER_SECRET!r} with a PostgreSQL URL, or repeat set-up with {LEDGER}"
            return f"no ledger for the containers of work pool {pool.name}: {step}"
        await Secret(value=url).save(LEDGER_SECRET, client=client)
        report(f"secret {LEDGER_SECRET}: created from {LEDGER}")
    return None


def environment_of_runs() -> dict[str, str]:
    """Return the variables that flow runs in containers take over from the environment of the set-up."""
    names = (LOG_FORMAT, CONSOLE_CLASS, "PARETA_BASE_URL", "PARETA_REPORTS_URL")
    return {name: value for name in names if (value := os.environ.get(name))}


async def _create(client: PrefectClient, pool: Pool, template: dict[str, object]) -> WorkPool | None:
    """Create the pool; return it if it exists already."""
    wanted = WorkPoolCreate(name=pool.name, type=pool.type.value, base_job_template=template)
    try:
        await client.create_work_pool(wanted)
    except ObjectAlreadyExists:
        return await client.read_work_pool(pool.name)
    return None
