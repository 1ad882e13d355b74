"""Everything that the deployments need on a Prefect server, made there as often as one likes."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from prefect import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.exceptions import ObjectAlreadyExists

from tasks.credentials import ParetaCredentials
from tasks.fleet import limit_name

PROJECT = Path("prefect.yaml")
POOL = "pareta"


class SetUpError(Exception):
    """The server could not be set up; the message says at which step."""


def set_up(limits: Mapping[str, int], repository: str | None = None, branch: str | None = None) -> None:
    """Make the work pool, the block type, the endpoints' limits and the deployments of prefect.yaml.

    What is there already is kept or brought up to date. With a `repository`, workers clone it for each run; else they
    run in this folder. Raises SetUpError.
    """
    if not PROJECT.is_file():
        raise SetUpError(f"no {PROJECT} in {Path.cwd()}: run it in the project's folder")
    asyncio.run(_prepare_server(limits))
    with _file_for(repository, branch) as file:
        _deploy(file)


def read_limits(options: Iterable[str]) -> dict[str, int]:
    """Read MODEL=SLOTS options; raises SetUpError."""
    limits = {}
    for option in options:
        model, _, slots = option.rpartition("=")
        if not model or not slots.isdigit() or int(slots) < 1:
            raise SetUpError(f"--limit {option!r}: write it as MODEL=SLOTS, with at least 1 slot")
        limits[model] = int(slots)
    return limits


async def _prepare_server(limits: Mapping[str, int]) -> None:
    async with get_client() as client:
        try:
            await client.create_work_pool(WorkPoolCreate(name=POOL, type="process"))
        except ObjectAlreadyExists:
            await client.read_work_pool(POOL)
        await ParetaCredentials.register_type_and_schema(client=client)
        for model, slots in limits.items():
            await client.upsert_global_concurrency_limit_by_name(limit_name(model), slots)


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
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file", str(file)]
    ended = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)  # noqa: S603
    if ended.returncode:
        raise SetUpError(f"prefect deploy --all failed:\n{ended.stdout}")
