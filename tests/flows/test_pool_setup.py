"""`set-up --pool-type`: the pool, its secret and its deployments on a server, and what a person changed there."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pareta_batch import code_version
from pareta_cli.options import PoolType
from pareta_cli.server_setup import SetUp, SetUpError, set_up
from pareta_cli.work_pool import LEDGER_SECRET, Pool
from tests.flows.test_server_setup import FILE, NAME, Server, project, server  # noqa: F401 - fixtures

LEDGER = "postgresql://pareta:hunter2@db.example/ledger"


@pytest.fixture(params=[PoolType.DOCKER, pytest.param(PoolType.KUBERNETES, marks=pytest.mark.long)])
def pool(request: pytest.FixtureRequest, server: Server) -> Pool:  # noqa: F811
    found = Pool(f"tests-{request.param.value}", request.param, "registry.example/pareta:1", "pareta-data")
    for each in server.ask("POST", "/work_pools/filter"):
        if each["name"] == found.name:
            server.ask("DELETE", f"/work_pools/{found.name}")
    for each in secrets(server):
        server.ask("DELETE", f"/block_documents/{each['id']}")
    return found


def secrets(server: Server) -> list[dict[str, Any]]:  # noqa: F811
    found = server.ask("POST", "/block_documents/filter", {"block_documents": {"name": {"any_": [LEDGER_SECRET]}}})
    return [each for each in found if each["name"] == LEDGER_SECRET]


def defaults(server: Server, pool: Pool) -> dict[str, Any]:  # noqa: F811
    properties = server.ask("GET", f"/work_pools/{pool.name}")["base_job_template"]["variables"]["properties"]
    return {name: each["default"] for name, each in properties.items() if "default" in each}


def test_the_pool_its_secret_and_its_deployments_are_made_and_changes_of_a_person_are_kept(
    project: Callable[..., list[str]],  # noqa: F811
    server: Server,  # noqa: F811
    pool: Pool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PARETA_LEDGER_URL", LEDGER)
    lines = project(pool=pool)
    assert {f"work pool {pool.name}: created", f"{NAME}: created"} <= set(lines)
    assert f"secret {LEDGER_SECRET}: created from PARETA_LEDGER_URL" in lines
    assert "hunter2" not in "".join(lines)
    made = server.ask("GET", f"/work_pools/{pool.name}")
    assert (made["type"], defaults(server, pool)["image"]) == (pool.type, "registry.example/pareta:1")
    assert "hunter2" not in str(made)
    deployment = server.deployment()
    assert deployment["work_pool_name"] == pool.name
    step = {"prefect.deployments.steps.set_working_directory": {"directory": "/opt/pareta"}}
    assert deployment["pull_steps"] == [step]
    assert {f"work pool {pool.name}: unchanged", f"{NAME}: unchanged"} <= set(project(pool=pool))

    template = made["base_job_template"]
    properties = template["variables"]["properties"]
    memory = "mem_limit" if pool.type is PoolType.DOCKER else "memory_limit"
    properties[memory]["default"], properties["env"]["default"]["OWN"] = "8Gi", "x"
    server.ask("PATCH", f"/work_pools/{pool.name}", {"base_job_template": template})
    newer = Pool(pool.name, pool.type, "registry.example/pareta:2", pool.volume)
    lines = project(pool=newer)
    assert f"work pool {pool.name}: updated" in lines
    (kept,) = [line for line in lines if "kept" in line]
    assert f'{memory} default: "8Gi" on the server' in kept
    found = defaults(server, pool)
    assert (found["image"], found[memory], found["env"]["OWN"]) == ("registry.example/pareta:2", "8Gi", "x")
    project(pool=newer, reset=True)
    found = defaults(server, pool)
    assert (found[memory] != "8Gi", found["env"]["OWN"]) == (True, "x"), "only values of this project are reset"


def test_without_a_ledger_for_containers_a_note_says_so(
    project: Callable[..., list[str]],  # noqa: F811
    server: Server,  # noqa: F811
    pool: Pool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PARETA_LEDGER_URL", "sqlite:///ledger.db")
    project({"deployments": []})
    notes = set_up(SetUp(pool=pool), lambda line: None)
    assert f"no ledger for the containers of work pool {pool.name}: create the block Secret" in "".join(notes)
    assert secrets(server) == []


def test_a_pool_of_another_type_and_a_file_outside_of_the_image_are_refused(
    project: Callable[..., list[str]],  # noqa: F811
    server: Server,  # noqa: F811
    pool: Pool,
) -> None:
    project({"deployments": []}, pool=Pool(pool.name))
    with pytest.raises(SetUpError, match="has type 'process', not"):
        project({"deployments": []}, pool=pool)
    Path("team.yaml").write_text("deployments: []")
    with pytest.raises(SetUpError, match=r"--file 'team\.yaml': not in the image of the containers; add --repository"):
        set_up(SetUp(pool=pool, file=Path("team.yaml")), print)


def test_deployments_have_the_version_of_the_code(
    project: Callable[..., list[str]],  # noqa: F811
    server: Server,  # noqa: F811
) -> None:
    project()
    assert server.deployment()["version"] == code_version(None)
    file = {"deployments": [{**FILE["deployments"][0], "version": "7"}]}
    project(file)
    assert server.deployment()["version"] == "7"
