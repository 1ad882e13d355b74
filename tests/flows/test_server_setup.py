"""What `set-up` makes of its options, and what it says about the server."""

import asyncio
from pathlib import Path

import pytest
import yaml
from prefect import get_client
from prefect.server.concurrency import lease_storage

from pareta_cli import server_setup as module
from pareta_cli.server_setup import LEASES_IN_MEMORY, SetUpError, read_limits, set_up
from tasks.endpoint_slots import limit_name


@pytest.fixture
def deployed(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """Return the list of deployed files, parsed from YAML."""
    files: list[dict[str, object]] = []
    monkeypatch.setattr(module, "_deploy", lambda file: files.append(yaml.safe_load(file.read_text())))
    return files


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefect_server: None) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "prefect.yaml").write_text("name: pareta\ndeployments: []\n")
    return tmp_path


@pytest.mark.parametrize("option", ["auto", "=3", "auto=", "auto=0", "auto=many"])
def test_a_limit_that_is_none_is_refused(option: str) -> None:
    with pytest.raises(SetUpError, match="MODEL=SLOTS"):
        read_limits([option])


def test_outside_of_the_project_it_says_where_to_run_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SetUpError, match="run the command in the project folder"):
        set_up({})


async def limit(model: str) -> int:
    async with get_client() as client:
        return (await client.read_global_concurrency_limit_by_name(limit_name(model))).limit


def test_it_makes_limits_and_sizes_them_anew(project: Path, deployed: list[dict[str, object]]) -> None:
    for slots in (3, 5):
        set_up({"ep_sized": slots})
        assert asyncio.run(limit("ep_sized")) == slots
    assert deployed == [{"name": "pareta", "deployments": []}] * 2


def test_a_repository_is_cloned_from_its_branch_and_no_file_is_left(
    project: Path, deployed: list[dict[str, object]]
) -> None:
    set_up({}, repository="https://example.org/pareta.git", branch="release")
    step = {"repository": "https://example.org/pareta.git", "branch": "release"}
    assert deployed[0]["pull"] == [{"prefect.deployments.steps.git_clone": step}]
    assert [path.name for path in project.iterdir()] == ["prefect.yaml"]


def test_it_says_when_the_server_forgets_its_leases(project: Path, deployed: list[dict[str, object]]) -> None:
    assert set_up({}) == (LEASES_IN_MEMORY,)


def test_the_storage_that_it_names_exists() -> None:
    name = LEASES_IN_MEMORY.partition("LEASE_STORAGE=")[2]
    assert name == f"{lease_storage.__name__}.filesystem"
