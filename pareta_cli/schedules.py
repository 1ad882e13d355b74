"""Deployments of own specs: made, listed and removed on the Prefect server of PREFECT_API_URL."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from zoneinfo import available_timezones

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags

from pareta_cli.deployment_file import DEFAULT_POOL, FileDeployment, Json, SetUpError, check_deployment
from pareta_cli.deployment_writer import Report, find_deployment, forget_record, write_deployment
from pareta_cli.pool_writer import check_pool, check_queue, has_pool
from pareta_cli.server_setup import on_server, prepare_server
from pareta_cli.spec_kinds import Command, flow_of
from pareta_cli.specs import read_any_spec
from pareta_cli.work_pool import PROCESSES
from tasks import NEEDS_API, uses_prefect

if TYPE_CHECKING:
    from pydantic import BaseModel

TAG = "pareta-schedule"
"""Tag of the deployments of own specs."""
STANDARD_INPUT = "-"

T = TypeVar("T")


@dataclass(frozen=True)
class Timetable:
    """When a deployment runs; `paused`: it has its schedule, and no run starts by itself."""

    cron: str
    timezone: str = "Etc/UTC"
    paused: bool = False


@dataclass(frozen=True)
class Place:
    """Work pool and queue of a deployment; None for those that it has, in a new deployment the default ones."""

    pool: str | None = None
    queue: str | None = None


def deployment_of(path: Path, overrides: list[str], command: str | None, timetable: Timetable | None) -> FileDeployment:
    """Return the deployment of a spec; its runs work in the present folder, as the commands do.

    Without a timetable it only names the deployment. Raises SpecError and SetUpError.
    """
    chosen, spec = read_any_spec(path, overrides, command)
    _check_source(path, spec)
    wanted = _fields(chosen, path, spec)
    if timetable is not None:
        if timetable.timezone not in available_timezones():
            raise SetUpError(f"--timezone {timetable.timezone!r:.80}: unknown; write a name such as Europe/Berlin")
        schedule = {"slug": "schedule", "cron": timetable.cron, "timezone": timetable.timezone}
        wanted |= {"schedules": [schedule], "paused": timetable.paused}
    steps = [{"prefect.deployments.steps.set_working_directory": {"directory": str(Path.cwd())}}]
    return check_deployment(wanted, steps, f"--cron {timetable.cron!r:.80} and {path}" if timetable else str(path))


def write_schedule(deployment: FileDeployment, place: Place, report: Report, *, reset: bool) -> str:
    """Create or update a deployment, and the default work pool and the block type if they are missing.

    Returns the work pool. Raises SetUpError, also if the server has no such pool or queue.
    """

    async def write(client: PrefectClient) -> str:
        found = Place() if reset else await _place_of(client, deployment.full_name)
        pool = place.pool or found.pool or DEFAULT_POOL
        own = pool == DEFAULT_POOL and (place.pool is None or not await has_pool(client, pool))
        queue = place.queue or (found.queue if pool == found.pool else None)
        if not own:
            await check_pool(client, pool)
        await prepare_server(client, {}, report, PROCESSES if own else None)
        if place.queue:
            await check_queue(client, pool, place.queue)
        await write_deployment(client, deployment.placed(pool, queue), reset=reset, report=report)
        return (await _place_of(client, deployment.full_name)).pool or pool

    return _on_server(write)


async def _place_of(client: PrefectClient, full_name: str) -> Place:
    """Return the place of a deployment; an empty one if the server has no such deployment."""
    found = await find_deployment(client, full_name)
    return Place(found.work_pool_name, found.work_queue_name) if found else Place()


def remove_schedule(full_name: str) -> None:
    """Delete a deployment; its runs stay. Raises SetUpError if the server has no such schedule."""

    async def remove(client: PrefectClient) -> None:
        if (found := await find_deployment(client, full_name)) is None:
            raise SetUpError(f"{full_name}: no such schedule; see: pareta-pipeline schedule --list")
        await client.delete_deployment(found.id)
        await forget_record(full_name)

    _on_server(remove)


def list_schedules() -> list[Json]:
    """Return the deployments of own specs, by name. Raises SetUpError."""

    async def read(client: PrefectClient) -> list[Json]:
        found: list[Json] = []
        own = DeploymentFilter(tags=DeploymentFilterTags(all_=[TAG]))
        while page := await client.read_deployments(deployment_filter=own, limit=PAGE, offset=len(found)):
            for each in page:
                flow = await client.read_flow(each.flow_id)
                found.append(_listed(f"{flow.name}/{each.name}", each.model_dump(mode="json")))
        return sorted(found, key=lambda each: str(each["name"]))

    return _on_server(read)


PAGE = 200
"""Deployments per request: the maximum of the server."""


def _listed(name: str, fields: Json) -> Json:
    timing = [each["schedule"] for each in fields["schedules"] if each["active"]]
    steps = fields["pull_steps"] or [{}]
    return {
        "name": name,
        "cron": [each.get("cron") or f"every {each.get('interval')} s" for each in timing],
        "timezone": timing[0].get("timezone") if timing else None,
        "paused": fields["paused"] or not timing,
        "work_pool": fields["work_pool_name"],
        "work_queue": fields["work_queue_name"],
        "folder": steps[0].get("prefect.deployments.steps.set_working_directory", {}).get("directory"),
    }


def _fields(command: Command, path: Path, spec: "BaseModel") -> Json:
    fields = spec.model_dump(mode="json", exclude_unset=True)
    flow: Any = flow_of(command)  # Prefect's generic class
    parameter = next(iter(flow.parameters.properties))
    return {
        # The prefix keeps the name apart from the deployments of prefect.yaml.
        "name": f"scheduled-{command}-{fields['name']}",
        "entrypoint": f"{flow.fn.__module__}.{flow.fn.__name__}",
        "description": f"{flow.description.splitlines()[0] if flow.description else flow.name} Spec: {path.resolve()}",
        "tags": ["pareta", TAG],
        "work_pool": {"name": DEFAULT_POOL},
        "parameters": {parameter: fields},
    }


def _check_source(path: Path, spec: "BaseModel") -> None:
    work = getattr(spec, "batch", spec)
    if str(getattr(work, "dataset", "")) == STANDARD_INPUT:
        raise SetUpError(f"{path}: dataset '-': a worker has no standard input; name a file or a URL")


def _on_server(work: Callable[[PrefectClient], Awaitable[T]]) -> T:
    if not uses_prefect():
        raise SetUpError(f"schedule: {NEEDS_API}")
    return on_server(work, "repeat the command")
