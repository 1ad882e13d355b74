"""The wheel in environments of its own: what it installs, what it needs, and where its command line works."""

import sqlite3
import tarfile
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from zipfile import ZipFile

import pytest

from pareta_sandbox.testing import Sandbox
from tests.packaging.environments import PROJECT, Environment, build, install, runtime_dependencies

pytestmark = pytest.mark.long

CLIENT_ONLY = ("aiohttp", "httpx", "lazy-loader", "pydantic")
COMMON_NAMES = ("flows", "tasks", "examples")

SPEC = """
name: from-a-wheel
model: auto
dataset: rows.csv
id_column: id
prompt: "Positive or negative? {text}"
output: answers.csv
"""


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def complete(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with all dependencies of the wheel, and no tool of the developers."""
    return install(wheel, tmp_path_factory.mktemp("complete") / "env", runtime_dependencies())


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of somebody else, with modules that are named as ours."""
    for name in COMMON_NAMES:
        (tmp_path / f"{name}.py").write_text(f"OWNER = 'somebody else: {name}'\n")
    (tmp_path / "rows.csv").write_text("id,text\na,good\nb,bad\nc,fine\n")
    (tmp_path / "batch.yaml").write_text(SPEC)
    return tmp_path


def test_a_wheel_has_no_top_level_name_that_others_use(wheel: Path) -> None:
    names = ZipFile(wheel).namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {
        *("pareta_batch", "pareta_cli", "pareta_client", "pareta_evals", "pareta_pipelines"),
        *("pareta_report", "pareta_sandbox"),
    }
    assert any(name.endswith("dist-info/licenses/LICENSE") for name in names)
    assert not [name for name in names if "tests" in name or "benchmarks" in name]


def test_every_package_of_a_wheel_is_typed(wheel: Path) -> None:
    names = ZipFile(wheel).namelist()
    packages = {name.removesuffix("__init__.py") for name in names if name.endswith("/__init__.py")}
    roots = {
        package for package in packages if not any(package != other and package.startswith(other) for other in packages)
    }
    bundled = {f"pareta_cli/bundled/{name}/" for name in COMMON_NAMES}
    assert {f"{package}py.typed" for package in roots | bundled} <= set(names)


def test_the_wheel_of_an_sdist_is_the_same(wheel: Path, tmp_path: Path) -> None:
    with tarfile.open(build("sdist", tmp_path)) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = (path for path in tmp_path.iterdir() if path.is_dir())
    again = build("wheel", tmp_path / "again", source)
    assert ZipFile(again).namelist() == ZipFile(wheel).namelist()


def test_an_installed_wheel_migrates_a_ledger_of_an_older_version(complete: Environment, tmp_path: Path) -> None:
    dump = PROJECT / "tests" / "batch" / "ledgers" / "version_2.sql"
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as old:
        old.executescript(dump.read_text())
    printed = complete.python(
        "from pareta_batch import Ledger; print(Ledger.open('sqlite:///ledger.db').tally('test').total)",
        folder=tmp_path,
    )
    assert printed == "12\n"


def test_the_client_works_without_prefect(wheel: Path, tmp_path: Path, sandbox: Sandbox) -> None:
    alone = install(wheel, tmp_path / "env", CLIENT_ONLY)
    assert (
        alone.python(
            """
import asyncio, importlib.util
assert not any(importlib.util.find_spec(name) for name in ("prefect", "pandas", "sqlalchemy", "typer"))
import pareta_client
assert all(getattr(pareta_client, name) for name in dir(pareta_client))
ask = {"model": "auto", "messages": [{"role": "user", "content": "hello"}]}
async def main():
    async with pareta_client.AsyncPareta.from_env() as pareta:
        return await pareta.chat.completions.create(**ask)
print(bool(asyncio.run(main()).choices))
with pareta_client.Pareta.from_env() as pareta:
    print(bool(pareta.chat.completions.create(**ask).choices))
""",
            folder=tmp_path,
            PARETA_API_KEY=sandbox.api_key,
            PARETA_BASE_URL=sandbox.base_url,
        )
        == "True\nTrue\n"
    )


def test_the_page_of_the_client_names_its_dependencies() -> None:
    command = f"pip install {' '.join(CLIENT_ONLY)}"
    assert command in (PROJECT / "docs" / "client.md").read_text()


def test_a_project_keeps_its_own_modules_of_the_same_names(complete: Environment, project: Path) -> None:
    owners = complete.python(
        "import flows, tasks, examples, pareta_cli, pareta_batch; print(flows.OWNER, tasks.OWNER, examples.OWNER)",
        folder=project,
    )
    assert owners.count("somebody else") == 3


def test_our_modules_of_common_names_are_on_no_path_of_others(complete: Environment, tmp_path: Path) -> None:
    code = f"from importlib.util import find_spec; print([find_spec(name) for name in {COMMON_NAMES}])"
    assert find_spec("flows") is not None, "but here, in the clone, they are"
    assert complete.python(code, folder=tmp_path) == "[None, None, None]\n"


def test_prefect_finds_the_block_type_in_a_process_of_others(complete: Environment, project: Path) -> None:
    found = complete.python(
        """
import sys
from prefect.plugins import load_prefect_collections
from prefect.blocks.core import Block
loaded = load_prefect_collections()
import tasks
print(loaded["pareta"].ParetaCredentials is Block.get_block_class_from_key("pareta-credentials"), tasks.OWNER)
""",
        folder=project,
    )
    assert found.splitlines()[-1] == "True somebody else: tasks"


@pytest.mark.parametrize("arguments", [("--version",), ("--help",), ("sandbox", "--help"), ("complete", "--help")])
def test_the_command_line_starts_in_any_folder(
    complete: Environment, project: Path, arguments: tuple[str, ...]
) -> None:
    done = complete.run("pareta-pipeline", *arguments, folder=project)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("path", ["", "."])
@pytest.mark.parametrize("program", [("pareta-pipeline",), ("python", "-m", "pareta_cli")])
def test_a_batch_runs_beside_modules_of_the_same_names(
    complete: Environment, project: Path, sandbox: Sandbox, program: tuple[str, ...], path: str
) -> None:
    done = complete.run(
        *program,
        *("complete", "batch.yaml"),
        folder=project,
        timeout_s=300,
        variables={
            "PARETA_API_KEY": sandbox.api_key,
            "PARETA_BASE_URL": sandbox.base_url,
            "PYTHONPATH": path,
        },
    )
    assert done.returncode == 0, done.stderr
    assert (project / "answers.csv").read_text().count("\n") == 4
    sandbox.debited_once()


@pytest.mark.timeout(1000)
def test_the_demo_runs_from_a_wheel(complete: Environment, tmp_path: Path) -> None:
    done = complete.run("pareta-pipeline", "demo", folder=tmp_path, timeout_s=900)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / ".pareta" / "demo" / "report.html").is_file()
    assert (tmp_path / ".pareta" / "demo" / "notices" / "answers.parquet").is_file()
