"""Templates of work pools: rendered as a worker renders them, and checked against Prefect's own schema."""

import asyncio
from collections.abc import Mapping
from typing import Any
from unittest.mock import AsyncMock

import pytest
from jsonschema import Draft202012Validator
from prefect.server.schemas.actions import validate_base_job_template
from prefect.utilities.templating import apply_values, find_placeholders, resolve_block_document_references

from pareta_cli.options import PoolType
from pareta_cli.server_setup import SetUpError, pool_of
from pareta_cli.work_pool import POD, Pool, default_template, filled, own_values, values_at

IN_CONTAINERS = [PoolType.DOCKER, PoolType.KUBERNETES]
LEDGER = "{{ prefect.blocks.secret.pareta-ledger-url }}"


def template(kind: PoolType, volume: str | None = None, **environment: str) -> dict[str, Any]:
    return filled(default_template(kind), own_values(Pool("p", kind, "registry.example/pareta:1", volume), environment))


def rendered(made: Mapping[str, Any], **job_variables: Any) -> dict[str, Any]:
    """Return the job configuration of a run, with the job variables of a deployment."""
    properties = made["variables"]["properties"]
    defaults = {name: each["default"] for name, each in properties.items() if "default" in each}
    values = {"command": "prefect flow-run execute", "name": "run", "labels": {}, **defaults, **job_variables}
    found: dict[str, Any] = apply_values(made["job_configuration"], values)
    return found


@pytest.mark.parametrize("kind", IN_CONTAINERS)
@pytest.mark.parametrize("volume", [None, "pareta-data"])
def test_a_template_is_valid_for_prefect_and_its_defaults_fit_its_schema(kind: PoolType, volume: str | None) -> None:
    made = template(kind, volume, PARETA_LOG_FORMAT="json")
    assert validate_base_job_template(made) == made
    schema = {**made["variables"], "definitions": made["variables"].get("definitions", {})}
    Draft202012Validator.check_schema(schema)
    properties = made["variables"]["properties"]
    defaults = {name: each["default"] for name, each in properties.items() if "default" in each}
    assert list(Draft202012Validator(schema).iter_errors(defaults)) == []
    used = {each.name for each in find_placeholders(made["job_configuration"])}
    assert used <= set(properties), "every placeholder is a variable"
    assert set(default_template(kind)["variables"]["properties"]) == set(properties), "no variable of its own"


@pytest.mark.parametrize("kind", IN_CONTAINERS)
def test_a_deployment_can_override_each_default(kind: PoolType) -> None:
    made = template(kind, "pareta-data")
    job = rendered(made, image="other:2", env={"A": "b"})
    container = job["job_manifest"]["spec"]["template"]["spec"]["containers"][0] if kind == "kubernetes" else job
    assert (container["image"], container["env"]) == ("other:2", {"A": "b"})


def test_a_docker_run_has_image_ledger_volume_and_memory() -> None:
    job = rendered(template(PoolType.DOCKER, "pareta-data", PARETA_LOG_FORMAT="json"))
    assert job["image"] == "registry.example/pareta:1"
    assert job["env"] == {"PARETA_LEDGER_URL": LEDGER, "PARETA_LOG_FORMAT": "json"}
    assert (job["volumes"], job["mem_limit"], job["auto_remove"]) == (["pareta-data:/data"], "2g", True)
    assert "volumes" not in rendered(template(PoolType.DOCKER))


def test_a_kubernetes_run_has_image_ledger_claim_and_resources() -> None:
    job = rendered(template(PoolType.KUBERNETES, "pareta-data"))
    pod = job["job_manifest"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["image"] == "registry.example/pareta:1"
    assert container["env"] == {"PARETA_LEDGER_URL": LEDGER}
    assert container["volumeMounts"] == [{"name": "data", "mountPath": "/data"}]
    assert pod["volumes"] == [{"name": "data", "persistentVolumeClaim": {"claimName": "pareta-data"}}]
    assert pod["securityContext"] == {"fsGroup": 1000}
    assert container["resources"] == {"limits": {"memory": "2Gi"}, "requests": {"cpu": "500m", "memory": "1Gi"}}
    without = rendered(template(PoolType.KUBERNETES))["job_manifest"]["spec"]["template"]["spec"]
    assert "volumes" not in without
    assert "volumeMounts" not in without["containers"][0]


@pytest.mark.parametrize("kind", IN_CONTAINERS)
def test_the_ledger_of_the_secret_reaches_the_run(kind: PoolType) -> None:
    client = AsyncMock()
    client.read_block_document_by_name.return_value.data = {"value": "postgresql://db/pareta"}
    job: Any = asyncio.run(resolve_block_document_references(rendered(template(kind)), client=client))
    container = job["job_manifest"]["spec"]["template"]["spec"]["containers"][0] if kind == "kubernetes" else job
    assert container["env"]["PARETA_LEDGER_URL"] == "postgresql://db/pareta"


def test_a_pool_of_processes_has_the_template_of_prefect() -> None:
    assert own_values(Pool("pareta"), {"PARETA_LOG_FORMAT": "json"}) == {}


def test_values_are_read_at_the_paths_that_exist() -> None:
    made = template(PoolType.KUBERNETES, "claim")
    wanted = own_values(Pool("p", PoolType.KUBERNETES, "registry.example/pareta:1", "claim"), {})
    assert values_at(made, wanted) == wanted
    assert values_at({}, wanted) == {}
    assert (*POD, "containers") in values_at(default_template(PoolType.KUBERNETES), wanted)


@pytest.mark.parametrize(
    ("kind", "name", "pool"),
    [
        (PoolType.PROCESS, None, "pareta"),
        (PoolType.DOCKER, None, "pareta-docker"),
        (PoolType.KUBERNETES, None, "pareta-kubernetes"),
        (PoolType.DOCKER, "own", "own"),
    ],
)
def test_the_name_of_a_pool_follows_its_type(kind: PoolType, name: str | None, pool: str) -> None:
    assert pool_of(kind, name, "pareta-worker", None).name == pool


@pytest.mark.parametrize("options", [("other", None), ("pareta-worker", "data")])
def test_processes_have_no_image_and_no_volume(options: tuple[str, str | None]) -> None:
    with pytest.raises(SetUpError, match="add --pool-type docker"):
        pool_of(PoolType.PROCESS, None, *options)
