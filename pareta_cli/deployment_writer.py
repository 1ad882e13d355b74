"""Deployments on the server: read, merged with the file, written, and recorded."""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import DeploymentUpdate
from prefect.client.schemas.responses import DeploymentResponse
from prefect.events.schemas.automations import Automation, AutomationCore
from prefect.exceptions import ObjectNotFound
from prefect.utilities.callables import parameter_schema
from prefect.variables import Variable

from pareta_cli.deployment_file import POOL, QUEUE, FileDeployment, Json, automation_states
from pareta_cli.setup_merge import NOTHING, Path, State, flat, merge, nested, record_of, without

Report = Callable[[str], None]


async def write_deployment(client: PrefectClient, wanted: FileDeployment, *, reset: bool, report: Report) -> None:
    """Create or update a deployment, keep what a person changed on the server, and report both.

    The record is written last: after a crash the next set-up finds and finishes what is missing.
    """
    found = await find_deployment(client, wanted.full_name)
    deployment_id = found.id if found else await _create(client, wanted)
    automations = await _automations_of(client, deployment_id, wanted)
    server = _state_of(found, automations) if found else {}
    # A deleted deployment is made anew, as in the file: its record would leave out every value.
    record = await read_record(wanted.full_name) if found else {}
    if found and found.work_pool_name is None:
        # Its pool was deleted. No run can start without one, so it returns to the pool of the file.
        record, server = without((POOL, QUEUE), record, server)
    in_file = wanted.state(deployment_id)
    state, kept = merge(in_file, server, record, reset=reset)
    state = with_whole_groups(state, server)
    changed = await _update(client, wanted, found, state, server, deployment_id)
    ids = {each.slug or str(each.id): each.id for each in found.schedules} if found else {}
    changed |= await _write_schedules(client, deployment_id, ids, state, server)
    changed |= await write_automations(client, wanted.automations(deployment_id), automations, state, server)
    await write_record(wanted.full_name, record_of(in_file))
    report(f"{wanted.full_name}: {'created' if found is None else 'updated' if changed else 'unchanged'}")
    for each in kept:
        if each.path[0] != "schedules" or each.in_file is not NOTHING or each.path[2] == "timing":
            report(f"  kept {each}")


async def find_deployment(client: PrefectClient, full_name: str) -> DeploymentResponse | None:
    """Return the deployment of this name, or None."""
    try:
        return await client.read_deployment_by_name(full_name)
    except ObjectNotFound:
        return None


async def _automations_of(client: PrefectClient, deployment_id: UUID, wanted: FileDeployment) -> dict[str, Automation]:
    """Return the automations that triggers of the file have made, by name; others belong to a person."""
    related = await client.read_resource_related_automations(f"prefect.deployment.{deployment_id}")
    names = wanted.automations(deployment_id).keys()
    return {each.name: each for each in related if each.name in names}


def _state_of(found: DeploymentResponse, automations: Mapping[str, Automation]) -> dict[Path, Any]:
    fields = found.model_dump(mode="json")
    limit, options = fields.get("global_concurrency_limit"), fields.get("concurrency_options")
    return {
        ("description",): fields["description"],
        ("tags",): sorted(fields["tags"]),
        ("paused",): fields["paused"],
        ("concurrency limit",): limit["limit"] if limit else None,
        ("collision strategy",): options["collision_strategy"] if options else None,
        POOL: fields["work_pool_name"],
        QUEUE: fields["work_queue_name"],
        **flat(fields["job_variables"] or {}, ("job variables",)),
        **flat(fields["parameters"] or {}, ("parameters",)),
        **{path: value for each in fields["schedules"] for path, value in _schedule_state(each).items()},
        **automation_states(automations),
    }


def _schedule_state(schedule: Json) -> dict[Path, Any]:
    at = ("schedules", schedule["slug"] or schedule["id"])
    return {
        (*at, "active"): schedule["active"],
        (*at, "timing"): schedule["schedule"],
        (*at, "parameters"): schedule["parameters"] or {},
    }


def with_whole_groups(state: dict[Path, Any], server: State) -> dict[Path, Any]:
    """Return the state in which a schedule or an automation has all its fields, or none."""
    groups = {path[:2] for path in state if path[0] in ("schedules", "automations")}
    return {**{path: value for path, value in server.items() if path[:2] in groups}, **state}


async def _create(client: PrefectClient, wanted: FileDeployment) -> UUID:
    """Create the deployment without schedules: the update writes them."""
    return await client.create_deployment(
        await client.create_flow(wanted.flow),
        wanted.name,
        work_pool_name=wanted.fields["work_pool"]["name"],
        paused=False,
        **_of_the_code(wanted),
    )


def _of_the_code(wanted: FileDeployment) -> Json:
    """Return the fields that always follow the code and the file."""
    return {
        "version": wanted.version,
        "entrypoint": wanted.fields["entrypoint"],
        "pull_steps": list(wanted.pull_steps),
        "parameter_openapi_schema": parameter_schema(wanted.flow).model_dump(exclude_unset=True),
        "enforce_parameter_schema": wanted.fields.get("enforce_parameter_schema", True),
    }


async def _update(
    client: PrefectClient,
    wanted: FileDeployment,
    found: DeploymentResponse | None,
    state: State,
    server: State,
    deployment_id: UUID,
) -> bool:
    """Update the deployment if anything but schedules and automations changes; return whether it did.

    An update removes the planned runs of its schedules until they are planned again.
    """
    code, present = _of_the_code(wanted), found.model_dump(mode="json") if found else {}
    if all(present.get(name) == value for name, value in code.items()) and _plain(state) == _plain(server):
        return False
    limit, strategy = state.get(("concurrency limit",)), state.get(("collision strategy",))
    parameters, variables = nested(state, ("parameters",)), nested(state, ("job variables",))
    fields = {
        "description": state.get(("description",)),
        "tags": state.get(("tags",)) or [],
        "paused": state.get(("paused",), False),
        "concurrency_limit": limit,
        "concurrency_options": {"collision_strategy": strategy} if strategy else None,
        "work_pool_name": state.get(POOL),
        "work_queue_name": state.get(QUEUE),
        "parameters": {} if parameters is NOTHING else parameters,
        "job_variables": {} if variables is NOTHING else variables,
    }
    await client.update_deployment(deployment_id, DeploymentUpdate(**code, **fields))
    return True


def _plain(state: State) -> State:
    return {path: value for path, value in state.items() if path[0] not in ("schedules", "automations")}


async def _write_schedules(
    client: PrefectClient, deployment_id: UUID, ids: Mapping[str, UUID], state: State, server: State
) -> bool:
    """Create, update and delete single schedules; return whether there was a change."""
    changed = False
    for slug in sorted({path[1] for path in (*state, *server) if path[0] == "schedules"}):
        at = ("schedules", slug)
        here, there = nested(state, at), nested(server, at)
        if here == there:
            continue
        changed = True
        where = {"id": deployment_id, "schedule_id": ids.get(slug)}
        if here is NOTHING:
            await client.request("DELETE", "/deployments/{id}/schedules/{schedule_id}", path_params=where)
            continue
        body = {"active": here["active"], "schedule": here["timing"], "parameters": here["parameters"]}
        if there is NOTHING:
            await client.request(
                "POST", "/deployments/{id}/schedules", path_params=where, json=[{**body, "slug": slug}]
            )
        else:
            await client.request("PATCH", "/deployments/{id}/schedules/{schedule_id}", path_params=where, json=body)
    return changed


async def write_automations(
    client: PrefectClient,
    wanted: Mapping[str, AutomationCore],
    found: Mapping[str, Automation],
    state: State,
    server: State,
) -> bool:
    """Create and update the automations of the file's triggers; return whether there was a change."""
    changed = False
    for name, automation in wanted.items():
        at = ("automations", name)
        here, there = nested(state, at), nested(server, at)
        if here is NOTHING or here == there:
            continue
        changed = True
        if name not in found:
            await client.create_automation(automation)
            continue
        where = {"id": found[name].id}
        if here["definition"] != there["definition"]:
            # The server refuses the owner in an update.
            body = automation.model_dump(mode="json", exclude={"owner_resource"}) | {"enabled": here["enabled"]}
            await client.request("PUT", "/automations/{id}", path_params=where, json=body)
        else:
            await client.request("PATCH", "/automations/{id}", path_params=where, json={"enabled": here["enabled"]})
    return changed


def _variable(full_name: str) -> str:
    return "pareta-set-up-" + "".join(each if each.isalnum() else "-" for each in full_name.lower())


async def read_record(full_name: str) -> dict[str, str]:
    """Return the record of a deployment or of a work pool; empty without one."""
    record = await Variable.aget(_variable(full_name))
    return record if isinstance(record, dict) else {}


async def forget_record(full_name: str) -> None:
    """Delete the record of a deployment that was deleted."""
    await Variable.aunset(_variable(full_name))


async def write_record(full_name: str, record: dict[str, str]) -> None:
    """Write the record of a deployment or of a work pool."""
    if record != await read_record(full_name):
        tags = ["pareta"]
        await Variable.aset(_variable(full_name), record, tags=tags, overwrite=True)
