"""Idempotent set-up of a Prefect server for the deployments."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

import httpx
from prefect import get_client
from prefect.client.orchestration import PrefectClient
from prefect.exceptions import PrefectException
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from pareta_cli.automations import set_up_automations
from pareta_cli.deployment_file import FileDeployment, Json, SetUpError, read_deployments
from pareta_cli.deployment_writer import Report, find_deployment, write_deployment
from pareta_cli.options import PoolType
from pareta_cli.pool_writer import write_ledger_secret, write_pool
from pareta_cli.work_pool import IMAGE_HOME, PROCESSES, Pool, default_name
from tasks import NEEDS_API, ParetaCredentials, limit_name, uses_prefect

__all__ = ["SetUp", "SetUpError", "read_limits", "set_up"]

PROJECT = Path("prefect.yaml")

T = TypeVar("T")

LEASES_IN_MEMORY = (
    "the Prefect server keeps concurrency leases in memory: after a restart, the slots of running runs stay "
    "taken until you release them; start it with "
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE=prefect.server.concurrency.lease_storage.filesystem"
)


RENAMED = {
    "deploy-endpoint/tickets": "deploy-tickets",
    "complete-batch/tickets": "complete-tickets",
    "retry-failed/tickets": "retry-tickets",
    "compare-models/tickets": "compare-tickets",
    "promote-winner/tickets": "promote-tickets",
    "run-pipeline/tickets": "pipeline-tickets",
    "watch-quality/tickets": "watch-tickets",
    "stop-idle-endpoints/tickets": "stop-idle-tickets",
}
"""Deployments of earlier versions, and their present names."""

MAX_RETRIES = 7
"""Retries of a request to a busy server, after 2, 4, 8 … seconds. Raising it by one doubles the longest wait."""


@dataclass(frozen=True)
class SetUp:
    """Options of a set-up.

    `limits`: slots by model or endpoint id, or by CREDENTIALS/MODEL. `repository`, `branch`: clone for each run;
    without it they run in this folder. `names`: deployments to write; empty for all. `reset`: make the server as the
    file, also what a person changed there. `file`: file of the deployments; their runs work in its folder.
    `pool`: work pool of the deployments whose pool in the file is `DEFAULT_POOL`.
    `notify`: notification block, as TYPE/NAME.
    """

    limits: Mapping[str, int] = field(default_factory=dict)
    repository: str | None = None
    branch: str | None = None
    names: tuple[str, ...] = ()
    reset: bool = False
    file: Path = PROJECT
    pool: Pool = PROCESSES
    notify: str | None = None


def set_up(wanted: SetUp, report: Report) -> tuple[str, ...]:
    """Create or update the work pool, the block type, the endpoint limits and the deployments of prefect.yaml.

    Returns recommended changes to the server. What a person changed on the server is kept. Raises SetUpError.

    Args:
        wanted: Options.
        report: Receives a line for each step, and for each value that is kept.
    """
    if not wanted.file.is_file():
        step = "run the command in the project folder" if wanted.file == PROJECT else "name a file with deployments"
        raise SetUpError(f"no {wanted.file} in {Path.cwd()}: {step}")
    if not uses_prefect():
        raise SetUpError(f"set-up: {NEEDS_API}")
    if wanted.pool.in_containers and wanted.repository is None and wanted.file != PROJECT:
        raise SetUpError(f"--file {str(wanted.file)!r}: not in the image of the containers; add --repository")
    deployments = read_deployments(wanted.file, _pull_steps(wanted), wanted.names, wanted.pool.name)
    work = partial(_set_up, wanted, deployments, report)
    return on_server(work, "repeat set-up: it continues where it stopped")


def on_server(work: Callable[[PrefectClient], Awaitable[T]], next_step: str) -> T:
    """Run the work with a client of the Prefect server. Raises SetUpError, with the next step, if the server fails."""

    async def run() -> T:
        async with get_client() as client:
            return await work(client)

    with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: MAX_RETRIES}):
        try:
            return asyncio.run(run())
        except (httpx.HTTPError, PrefectException) as error:
            raise SetUpError(f"Prefect server: {type(error).__name__}: {error}; {next_step}") from error


def read_limits(options: Iterable[str]) -> dict[str, int]:
    """Read MODEL=SLOTS options; raises SetUpError."""
    limits = {}
    for option in options:
        model, _, slots = option.rpartition("=")
        if not model or not slots.isdigit() or int(slots) < 1:
            raise SetUpError(
                f"--limit {option!r}: not valid; write MODEL=SLOTS or CREDENTIALS/MODEL=SLOTS, with at least 1 slot"
            )
        limits[model] = int(slots)
    return limits


def pool_of(kind: PoolType, name: str | None, image: str, volume: str | None) -> Pool:
    """Return the work pool of these options; raises SetUpError for options that a pool of processes does not have."""
    if kind is PoolType.PROCESS and (volume or image != Pool.image):
        raise SetUpError("--image and --volume: not for processes; add --pool-type docker or --pool-type kubernetes")
    return Pool(name or default_name(kind), kind, image, volume)


async def _set_up(
    wanted: SetUp, deployments: Sequence[FileDeployment], report: Report, client: PrefectClient
) -> tuple[str, ...]:
    await prepare_server(client, wanted.limits, report, wanted.pool, reset=wanted.reset)
    missing = await write_ledger_secret(client, wanted.pool, report)
    for deployment in deployments:
        await write_deployment(client, deployment, reset=wanted.reset, report=report)
    if not wanted.names:
        await set_up_automations(client, wanted.notify, reset=wanted.reset, report=report)
    if not wanted.names and wanted.file == PROJECT:
        await _report_renamed(client, {each.full_name for each in deployments}, report, reset=wanted.reset)
    leases = LEASES_IN_MEMORY if await _forgets_leases(client) else None
    return tuple(note for note in (leases, missing) if note is not None)


async def prepare_server(
    client: PrefectClient,
    limits: Mapping[str, int],
    report: Report,
    pool: Pool | None = PROCESSES,
    *,
    reset: bool = False,
) -> None:
    """Create or update the work pool, if one is given, register the block type, and size the limits of endpoints."""
    if pool is not None:
        await write_pool(client, pool, report, reset=reset)
    await ParetaCredentials.register_type_and_schema(client=client)
    report("block type Pareta Credentials: registered")
    for model, slots in limits.items():
        credentials, _, id_ = model.rpartition("/")
        name = limit_name(id_, credentials or None)
        await client.upsert_global_concurrency_limit_by_name(name, slots)
        report(f"limit {name}: {slots} slots")


async def _report_renamed(client: PrefectClient, present: set[str], report: Report, *, reset: bool) -> None:
    """Report deployments under their former names; a reset deletes them."""
    for old, name in RENAMED.items():
        if old in present or (found := await find_deployment(client, old)) is None:
            continue
        if reset:
            await client.delete_deployment(found.id)
            report(f"{old}: deleted; it is now called {name}")
        else:
            step = f"move your changes to it, then run: prefect deployment delete {old}"
            report(f"{old}: kept with its schedules and runs; it is now called {name}: {step}")


async def _forgets_leases(client: PrefectClient) -> bool:
    try:
        settings = (await client.request("GET", "/admin/settings")).json()
    except httpx.HTTPStatusError:
        # Prefect Cloud does not expose its settings.
        return False
    return str(settings["server"]["concurrency"]["lease_storage"]).endswith(".memory")


def _pull_steps(wanted: SetUp) -> list[Json] | None:
    if wanted.repository is None:
        in_image = {"prefect.deployments.steps.set_working_directory": {"directory": IMAGE_HOME}}
        return [in_image] if wanted.pool.in_containers else None
    step = {"repository": wanted.repository} | ({"branch": wanted.branch} if wanted.branch else {})
    return [{"prefect.deployments.steps.git_clone": step}]
