"""Deployments of prefect.yaml as states that can be compared with a server."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path as FilePath
from typing import Any, cast
from uuid import UUID

import yaml
from prefect import Flow
from prefect.client.schemas.schedules import construct_schedule
from prefect.events import DeploymentTriggerTypes
from prefect.events.schemas.automations import AutomationCore
from prefect.exceptions import PrefectException
from prefect.flows import load_flow_from_entrypoint
from prefect.utilities.templating import apply_values
from pydantic import TypeAdapter

from pareta_batch import code_version
from pareta_cli.setup_merge import Path, flat

Json = dict[str, Any]

_triggers: TypeAdapter[DeploymentTriggerTypes] = TypeAdapter(DeploymentTriggerTypes)

DEFAULT_POOL = "pareta"
"""Work pool of the deployments of this project, for processes."""
POOL: Path = ("work pool",)
QUEUE: Path = ("work queue",)
ANCHOR = datetime(2020, 1, 1, tzinfo=UTC)
TIMING = ("cron", "interval", "anchor_date", "rrule", "timezone")


class SetUpError(Exception):
    """A failed set-up; the message names the step."""


@dataclass(frozen=True)
class FileDeployment:
    """One deployment of prefect.yaml, with its flow and the version of the code."""

    fields: Json
    pull_steps: Sequence[Json]
    flow: Flow[..., Any]
    version: str

    @property
    def name(self) -> str:
        """Name of the deployment."""
        return str(self.fields["name"])

    @property
    def full_name(self) -> str:
        """Name of the flow and of the deployment."""
        return f"{self.flow.name}/{self.name}"

    def placed(self, pool: str, queue: str | None) -> "FileDeployment":
        """Return the deployment in another work pool; `queue` None for its default queue."""
        named = {**self.fields["work_pool"], "name": pool, "work_queue_name": queue}
        return replace(self, fields={**self.fields, "work_pool": named})

    def automations(self, deployment_id: UUID) -> dict[str, AutomationCore]:
        """Return the automations of its triggers, by name."""
        specs = [_triggers.validate_python(each) for each in self.fields.get("triggers") or ()]
        for spec in specs:
            spec.set_deployment_id(deployment_id)
        return {automation.name: automation for automation in (spec.as_automation() for spec in specs)}

    def state(self, deployment_id: UUID) -> dict[Path, Any]:
        """Return what a person can change on the server, as it is in the file."""
        limit = self.fields.get("concurrency_limit")
        limit = limit if isinstance(limit, dict) else {"limit": limit, "collision_strategy": None}
        return {
            ("description",): self.fields.get("description") or self.flow.description,
            ("tags",): sorted(self.fields.get("tags") or ()),
            ("paused",): bool(self.fields.get("paused")),
            ("concurrency limit",): limit.get("limit"),
            ("collision strategy",): limit.get("collision_strategy"),
            POOL: self.fields["work_pool"]["name"],
            QUEUE: (self.fields["work_pool"] or {}).get("work_queue_name") or "default",
            **flat(self.fields["work_pool"].get("job_variables") or {}, ("job variables",)),
            **flat(self.fields.get("parameters") or {}, ("parameters",)),
            **_schedules(self.fields.get("schedules") or ()),
            **automation_states(self.automations(deployment_id)),
        }


def read_deployments(
    file: FilePath, pull_steps: Sequence[Json] | None, names: Sequence[str], pool: str | None = None
) -> list[FileDeployment]:
    """Return the deployments of a file, or those of these names (`name` or `flow/name`). Raises SetUpError.

    `pool`: work pool for the deployments of `DEFAULT_POOL`; None leaves them there.
    """
    content: Json = yaml.safe_load(file.read_text(encoding="utf-8"))
    folder = str(file.resolve().parent)
    default_steps = [{"prefect.deployments.steps.set_working_directory": {"directory": folder}}]
    steps = pull_steps or content.get("pull") or default_steps
    found = [_read(_in_pool(each, pool), steps, file) for each in content.get("deployments") or ()]
    known = {name for each in found for name in (each.name, each.full_name)}
    if unknown := [name for name in names if name not in known]:
        raise SetUpError(f"{file}: no deployment {unknown[0]!r}; it has {', '.join(each.full_name for each in found)}")
    return [each for each in found if not names or each.name in names or each.full_name in names]


def _in_pool(fields: Json, pool: str | None) -> Json:
    own = fields.get("work_pool")
    if pool is None or not isinstance(own, dict) or own.get("name") != DEFAULT_POOL:
        return fields
    return {**fields, "work_pool": {**own, "name": pool}}


def automation_states(automations: Mapping[str, AutomationCore]) -> dict[Path, Any]:
    """Return automations as a state: whether each is enabled, and its definition without random ids."""
    state: dict[Path, Any] = {}
    for name, automation in automations.items():
        definition = automation.model_dump(mode="json", exclude={"id", "enabled", "owner_resource", "name"})
        state["automations", name, "enabled"] = automation.enabled
        state["automations", name, "definition"] = _without_ids(definition)
    return state


def _read(fields: Json, steps: Sequence[Json], file: FilePath) -> FileDeployment:
    # Templates of triggers are for the server, all others for this command.
    plain = {key: value for key, value in fields.items() if key != "triggers"}
    filled = cast(Json, apply_values(plain, dict(os.environ), remove_notset=False)) | {
        "triggers": fields.get("triggers")
    }
    return check_deployment(filled, steps, str(file))


def check_deployment(fields: Json, steps: Sequence[Json], source: str) -> FileDeployment:
    """Return a deployment of these fields, whose values the `source` has set. Raises SetUpError."""
    name = fields.get("name", "without a name")
    try:
        flow: Flow[..., Any] = load_flow_from_entrypoint(fields["entrypoint"])
        deployment = FileDeployment(fields, steps, flow, _version(fields, steps))
        deployment.state(UUID(int=0))
    except (KeyError, TypeError, ValueError, ImportError, AttributeError, PrefectException) as error:
        problem = f"{type(error).__name__}: {error}"
        raise SetUpError(f"deployment {name!r}: invalid: {problem}; correct {source}") from error
    return deployment


def _version(fields: Json, steps: Sequence[Json]) -> str:
    """Return the version in the file, else that of the code in the folder of the runs."""
    step = steps[0].get("prefect.deployments.steps.set_working_directory", {}) if steps else {}
    return str(fields.get("version") or code_version(FilePath(step["directory"]) if step else None))


def _schedules(schedules: Sequence[Json]) -> dict[Path, Any]:
    state: dict[Path, Any] = {}
    for number, fields in enumerate(schedules, 1):
        timing = {name: fields[name] for name in TIMING if fields.get(name) is not None}
        if "interval" in timing:
            # Prefect's default is the present time, which would differ in every set-up.
            timing.setdefault("anchor_date", ANCHOR)
        at = ("schedules", str(fields.get("slug") or f"schedule-{number}"))
        state[*at, "active"] = fields.get("active", True)
        state[*at, "timing"] = construct_schedule(**timing).model_dump(mode="json")
        state[*at, "parameters"] = fields.get("parameters") or {}
    return state


def _without_ids(value: Any) -> Any:  # JSON
    if isinstance(value, list):
        return [_without_ids(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {name: _without_ids(inner) for name, inner in value.items() if name != "id"}
