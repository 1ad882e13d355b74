"""Idempotent set-up of a Prefect server for the deployments."""

import asyncio
import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml
from prefect import get_client
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.exceptions import ObjectAlreadyExists

from pareta_cli.lifeline import start_child
from tasks import NEEDS_API, ParetaCredentials, limit_name, uses_prefect

PROJECT = Path("prefect.yaml")
POOL = "pareta"

LEASES_IN_MEMORY = (
    "the Prefect server keeps concurrency leases in memory: after a restart, the slots of running runs stay "
    "taken until you release them; start it with "
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE=prefect.server.concurrency.lease_storage.filesystem"
)


class SetUpError(Exception):
    """A failed set-up; the message names the step."""


def set_up(limits: Mapping[str, int], repository: str | None = None, branch: str | None = None) -> tuple[str, ...]:
    """Create or update the work pool, the block type, the endpoint limits and the deployments of prefect.yaml.

    Returns recommended changes to the server. Raises SetUpError.

    Args:
        limits: Slots by model or endpoint id.
        repository: Git URL that workers clone for each run; None to run in this folder.
        branch: Branch of the repository; None for its default branch.
    """
    if not PROJECT.is_file():
        raise SetUpError(f"no {PROJECT} in {Path.cwd()}: run the command in the project folder")
    if not uses_prefect():
        raise SetUpError(f"set-up: {NEEDS_API}")
    notes = asyncio.run(_prepare_server(limits))
    with _file_for(repository, branch) as file:
        _deploy(file)
    return notes


def read_limits(options: Iterable[str]) -> dict[str, int]:
    """Read MODEL=SLOTS options; raises SetUpError."""
    limits = {}
    for option in options:
        model, _, slots = option.rpartition("=")
        if not model or not slots.isdigit() or int(slots) < 1:
            raise SetUpError(f"--limit {option!r}: not valid; write MODEL=SLOTS, with at least 1 slot")
        limits[model] = int(slots)
    return limits


async def _prepare_server(limits: Mapping[str, int]) -> tuple[str, ...]:
    async with get_client() as client:
        try:
            await client.create_work_pool(WorkPoolCreate(name=POOL, type="process"))
        except ObjectAlreadyExists:
            await client.read_work_pool(POOL)
        await ParetaCredentials.register_type_and_schema(client=client)
        for model, slots in limits.items():
            await client.upsert_global_concurrency_limit_by_name(limit_name(model), slots)
        return (LEASES_IN_MEMORY,) if await _forgets_leases(client) else ()


async def _forgets_leases(client: PrefectClient) -> bool:
    try:
        settings = (await client.request("GET", "/admin/settings")).json()
    except httpx.HTTPStatusError:
        # Prefect Cloud does not expose its settings.
        return False
    return str(settings["server"]["concurrency"]["lease_storage"]).endswith(".memory")


@contextmanager
def _file_for(repository: str | None, branch: str | None) -> Iterator[Path]:
    if repository is None:
        yield PROJECT
        return
    fields: dict[str, Any] = yaml.safe_load(PROJECT.read_text(encoding="utf-8"))
    step = {"repository": repository} | ({"branch": branch} if branch else {})
    fields["pull"] = [{"prefect.deployments.steps.git_clone": step}]
    # In the same folder, because entrypoints are relative to the file.
    file = PROJECT.with_name(f".prefect-{os.getpid()}.yaml")
    file.write_text(yaml.safe_dump(fields, sort_keys=False), encoding="utf-8")
    try:
        yield file
    finally:
        file.unlink()


def _deploy(file: Path) -> None:
    command = ("--no-prompt", "deploy", "--all", "--prefect-file", str(file))
    with start_child("prefect", command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as deploying:
        output, _ = deploying.communicate()
    if deploying.returncode:
        raise SetUpError(f"prefect deploy --all failed:\n{output}")
