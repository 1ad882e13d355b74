"""Everything that the deployments need on a Prefect server, made there as often as one likes."""

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

from pareta_cli.embedded_server import bind_embedded_server
from pareta_cli.lifeline import start_child
from tasks import ParetaCredentials, limit_name

PROJECT = Path("prefect.yaml")
POOL = "pareta"

FORGETFUL = (
    "the Prefect server keeps concurrency leases in memory: when it is restarted, the slots of runs under way stay "
    "taken until you free them; start it with "
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE=prefect.server.concurrency.lease_storage.filesystem"
)


class SetUpError(Exception):
    """The server could not be set up; the message says at which step."""


def set_up(limits: Mapping[str, int], repository: str | None = None, branch: str | None = None) -> tuple[str, ...]:
    """Make the work pool, the block type, the endpoints' limits and the deployments of prefect.yaml.

    What is there already is kept or brought up to date. With a `repository`, workers clone it for each run; else they
    run in this folder. Gives what should be different about the server. Raises SetUpError.
    """
    if not PROJECT.is_file():
        raise SetUpError(f"no {PROJECT} in {Path.cwd()}: run it in the project's folder")
    bind_embedded_server()
    remarks = asyncio.run(_prepare_server(limits))
    with _file_for(repository, branch) as file:
        _deploy(file)
    return remarks


def read_limits(options: Iterable[str]) -> dict[str, int]:
    """Read MODEL=SLOTS options; raises SetUpError."""
    limits = {}
    for option in options:
        model, _, slots = option.rpartition("=")
        if not model or not slots.isdigit() or int(slots) < 1:
            raise SetUpError(f"--limit {option!r}: write it as MODEL=SLOTS, with at least 1 slot")
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
        return (FORGETFUL,) if await _forgets_leases(client) else ()


async def _forgets_leases(client: PrefectClient) -> bool:
    try:
        settings = (await client.request("GET", "/admin/settings")).json()
    except httpx.HTTPStatusError:
        # Prefect Cloud does not tell.
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
    # Beside the other, because its entrypoints are relative to it.
    file = PROJECT.with_name(f".prefect-{os.getpid()}.yaml")
    file.write_text(yaml.safe_dump(fields, sort_keys=False), encoding="utf-8")
    try:
        yield file
    finally:
        file.unlink()


def _deploy(file: Path) -> None:
    command = ("--no-prompt", "deploy", "--all", "--prefect-file", str(file))
    with start_child("prefect", command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as deploying:
        said, _ = deploying.communicate()
    if deploying.returncode:
        raise SetUpError(f"prefect deploy --all failed:\n{said}")
