"""Work pools: the base job template of each type, from Prefect's own, with the values of this project."""

import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, cast

from pareta_cli.deployment_file import DEFAULT_POOL, Json
from pareta_cli.options import PoolType
from pareta_cli.setup_merge import Path, State

REGISTRY = "collections_data/views/aggregate-worker-metadata.json"
"""Templates of Prefect's collections, in the package `prefect.server.api`."""
IMAGE_HOME = "/opt/pareta"
"""Folder of the code in the image of the Dockerfile."""
DATA = "/data"
"""Folder of the volume in a container."""
LEDGER_SECRET = "pareta-ledger-url"  # noqa: S105 - the name of a block
USER_ID = 1000
"""User of the image; Kubernetes gives it the volume."""
FINISHED_JOB_S = 3600
"""Seconds that Kubernetes keeps a finished job. Raising it keeps its log longer."""

POD = ("job_configuration", "job_manifest", "spec", "template", "spec")


@dataclass(frozen=True)
class Pool:
    """A work pool to set up.

    `image`: of the flow runs in containers. `volume`: a Docker volume or a Kubernetes volume claim for data, mounted at
    `DATA`; None for data in an object store.
    """

    name: str
    type: PoolType = PoolType.PROCESS
    image: str = "pareta-worker"
    volume: str | None = None

    @property
    def in_containers(self) -> bool:
        """Whether each flow run has a container of its own."""
        return self.type is not PoolType.PROCESS


PROCESSES = Pool(DEFAULT_POOL)
"""The default work pool."""


def default_name(kind: PoolType) -> str:
    """Return the name that `set-up` gives to a work pool of this type."""
    return DEFAULT_POOL if kind is PoolType.PROCESS else f"{DEFAULT_POOL}-{kind.value}"


def default_template(kind: PoolType) -> Json:
    """Return the base job template that Prefect ships for a type."""
    registry = json.loads((files("prefect.server.api") / REGISTRY).read_text(encoding="utf-8"))
    workers = {worker["type"]: worker for collection in registry.values() for worker in collection.values()}
    return cast(Json, workers[kind]["default_base_job_configuration"])


def own_values(pool: Pool, environment: Mapping[str, str]) -> dict[Path, Any]:
    """Return the values of a template that this project sets, by path; none for processes.

    Args:
        pool: The work pool.
        environment: Variables of the flow runs, besides the ledger's URL.
    """
    if not pool.in_containers:
        return {}
    variables = {
        "image": pool.image,
        "image_pull_policy": "IfNotPresent",
        **(_docker(pool) if pool.type is PoolType.DOCKER else _kubernetes()),
    }
    env = {"PARETA_LEDGER_URL": f"{{{{ prefect.blocks.secret.{LEDGER_SECRET} }}}}", **environment}
    values: dict[Path, Any] = {("variables", "properties", name, "default"): value for name, value in variables.items()}
    values |= {("variables", "properties", "env", "default", name): value for name, value in env.items()}
    return values | (_pod(pool) if pool.type is PoolType.KUBERNETES else {})


def filled(template: Json, values: State) -> Json:
    """Return a copy of a template with these values at their paths."""
    made = deepcopy(template)
    for path, value in values.items():
        whole = made
        for name in path[:-1]:
            whole = whole.setdefault(name, {})
        whole[path[-1]] = value
    return made


def values_at(template: Json, paths: State) -> dict[Path, Any]:
    """Return the values of a template at the paths that it has."""
    found = {}
    for path in paths:
        value: Any = template  # JSON
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        if value is not None:
            found[path] = value
    return found


def _docker(pool: Pool) -> Json:
    volumes = {"volumes": [f"{pool.volume}:{DATA}"]} if pool.volume else {}
    return {"auto_remove": True, "mem_limit": "2g", **volumes}


def _kubernetes() -> Json:
    resources = {"cpu_request": "500m", "memory_request": "1Gi", "memory_limit": "2Gi"}
    return {"finished_job_ttl": FINISHED_JOB_S, **resources}


def _pod(pool: Pool) -> dict[Path, Any]:
    """Return the parts of the job's manifest for the volume."""
    if pool.volume is None:
        return {}
    containers = values_at(default_template(pool.type), {(*POD, "containers"): None})[*POD, "containers"]
    mounted = [{**each, "volumeMounts": [{"name": "data", "mountPath": DATA}]} for each in containers]
    return {
        (*POD, "volumes"): [{"name": "data", "persistentVolumeClaim": {"claimName": pool.volume}}],
        (*POD, "containers"): mounted,
        (*POD, "securityContext"): {"fsGroup": USER_ID},
    }
