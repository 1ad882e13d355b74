"""A command without a Prefect API runs its flow without importing Prefect: same retries, same ends."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from prefect.settings import Settings

from flows.direct import current_flow_name, flow
from pareta_cli.spec_kinds import Command
from pareta_client import BadRequestError
from tasks import RETRIES, current_flow_run, is_state, run_logger, task, uses_prefect
from tasks.states import Ending, completed_state, failed_state
from tasks.without_prefect import OF_A_SERVER, PLACES, may_have_api
from tests.command_line.test_processes import PROJECT
from tests.flows.test_retries import JITTER, PASSES, STAYS, TRIES

EPHEMERAL = (
    'active = "a"\n[profiles.a]\nPREFECT_SERVER_ALLOW_EPHEMERAL_MODE = "true"\n[profiles.b]\nPREFECT_API_URL = "x"'
)


@pytest.fixture
def without_prefect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.without_prefect._left_out", True)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of Prefect, in an environment that has no other setting of it."""
    for name in [name for name in os.environ if name.upper().startswith("PREFECT_")]:
        monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("PREFECT_HOME", str(home))
    return home


FILES = [
    ("folder/prefect.toml", "[api]\nurl = 'x'", True),
    ("folder/prefect.toml", "not [ toml", True),
    ("folder/.env", "prefect_api_url=x", True),
    ("folder/.env", "OTHER=1", False),
    ("folder/pyproject.toml", "[tool.prefect.api]\nurl = 'x'", True),
    ("folder/pyproject.toml", "tool = 1", True),
    ("folder/pyproject.toml", "not [ toml", True),
    ("folder/pyproject.toml", "[project]\ndependencies = ['prefect']", False),
    ("home/profiles.toml", 'active = "a"\n[profiles.a]\nPREFECT_API_URL = "x"', True),
    ("home/profiles.toml", 'active = "a"\n[profiles.a]\nPREFECT_CLOUD_API_URL = "x"', True),
    ("home/profiles.toml", "active = []\n[profiles.a]", True),
    ("home/profiles.toml", "active = 'a'\nprofiles = 1", True),
    ("home/profiles.toml", "not [ toml", True),
    ("home/profiles.toml", EPHEMERAL, False),
    ("home/profiles.toml", 'active = "gone"', False),
    ("home/logging.yml", "version: 1", True),
    ("folder/.env", "A=1\r\nexport prefect_api_url = x\r\n", True),
    ("folder/.env", "API_URL=x", False),
    ("folder/pyproject.toml", "tool.prefect.api.url = 'x'\r\n", True),
    ("folder/pyproject.toml", "[tool]\n'prefect' = {api = {url = 'x'}}", True),
    ("folder/pyproject.toml", "[tool.Prefect.api]\nurl = 'x'", False),
    ("home/profiles.toml", 'active = "a"\r\n[profiles]\r\na = {PREFECT_API_URL = "x"}', True),
    ("home/profiles.toml", 'active = "A"\n[profiles.a]\nPREFECT_API_URL = "x"', False),
    ("home/profiles.toml", '[profiles.ephemeral]\nPREFECT_API_URL = "x"', False),
    ("home/profiles.toml", 'active = "a"\n[profiles.a]\nPREFECT_HOME = "elsewhere"', True),
    ("home/profiles.toml", 'active = "a"\n[profiles.a]\nPREFECT_PROFILES_PATH = "elsewhere"', True),
]
"""Files, each with whether it is left to Prefect."""


@pytest.mark.parametrize(("file", "content", "expected"), FILES)
def test_every_file_that_could_name_an_api_is_left_to_prefect(
    file: str, content: str, expected: bool, home: Path
) -> None:
    (home.parent / "folder").mkdir()
    assert not may_have_api(home.parent / "folder")
    (home.parent / file).write_bytes(content.encode())
    assert may_have_api(home.parent / "folder") is expected


@pytest.mark.parametrize(("file", "content"), [(file, content) for file, content, expected in FILES if not expected])
def test_prefect_itself_finds_nothing_for_a_run_where_it_is_left_out(
    file: str, content: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home.parent / "folder").mkdir()
    (home.parent / file).write_bytes(content.encode())
    monkeypatch.chdir(home.parent / "folder")
    found = Settings().to_environment_variables(exclude_unset=True)
    assert {name: value for name, value in found.items() if not name.startswith(OF_A_SERVER)} == {
        "PREFECT_HOME": str(home)
    }


def test_a_file_of_variables_in_another_encoding_is_read(home: Path) -> None:
    (home / ".env").write_bytes("PREFECT_API_URL=x".encode("utf-16"))
    assert may_have_api(home)


def test_every_setting_but_those_of_a_server_is_left_to_prefect(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    schema = Settings.model_json_schema()
    fields = [field for each in (schema, *schema["$defs"].values()) for field in each.get("properties", {}).values()]
    names = {name for field in fields for name in field.get("supported_environment_variables", ())}
    assert names > PLACES
    for name in names - PLACES:
        for spelled in (name.upper(), name.lower()):
            monkeypatch.setenv(spelled, "x")
            assert may_have_api(home) is not name.startswith(OF_A_SERVER), spelled
            monkeypatch.delenv(spelled)


@pytest.mark.parametrize("name", ["PREFECT_PROFILE", "prefect_home", "PREFECT__FLOW_RUN_ID"])
def test_every_other_variable_of_prefect_in_the_environment_is_left_to_it(
    name: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    assert not may_have_api(home)
    monkeypatch.setenv(name, "x")
    assert may_have_api(home)


def test_profiles_elsewhere_are_read(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = home / "mine.toml"
    monkeypatch.setenv("PREFECT_PROFILES_PATH", str(elsewhere))
    assert not may_have_api(home)
    elsewhere.write_text('active = "a"\n[profiles.a]\nPREFECT_API_URL = "x"', encoding="utf-8")
    assert may_have_api(home)


EVERY_COMMAND = """
import logging, sys
from pareta_cli.spec_kinds import Command, flow_of
from tasks import is_left_out, leave_prefect_out

leave_prefect_out()
import flows.retry_failed, pareta_cli.runner, pareta_cli.summary
print(is_left_out(), *[callable(flow_of(command)) for command in Command], "prefect" in sys.modules)
logging.getLogger("pareta_batch").warning("as in the log of a run")
"""


def test_no_flow_of_a_command_needs_prefect_nor_prints_its_log(home: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    program = (sys.executable, "-c", EVERY_COMMAND)
    ended = subprocess.run(program, cwd=home, env=environment, capture_output=True, text=True, check=False)
    assert (ended.stdout, ended.stderr) == (f"True {'True ' * len(Command)}False\n", "")


@pytest.mark.parametrize("error", PASSES + STAYS, ids=lambda error: type(error).__name__)
async def test_a_task_is_retried_as_a_task_run_is(
    error: Exception, without_prefect: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, waits = list[int](), list[float]()

    async def at_once(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr("tasks.direct.sleep", at_once)

    @task(task_run_name="fail", **RETRIES)
    async def fail(number: int) -> None:
        calls.append(number)
        raise error

    with pytest.raises(type(error)) as raised:
        await fail(7)
    assert raised.value is error
    retried = error in PASSES
    assert calls == [7] * (TRIES if retried else 1)
    assert waits == [pytest.approx(delay, rel=JITTER) for delay in RETRIES["retry_delay_seconds"] if retried]


async def test_a_task_without_retries_fails_once(without_prefect: None) -> None:
    calls: list[int] = []

    @task(task_run_name="fail")
    async def fail() -> None:
        calls.append(1)
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        await fail()
    assert calls == [1]


def a_flow(end: object) -> Any:
    """Return a flow that ends with a value, a state or an error."""

    @flow(name="a-flow", flow_run_name="a flow")
    async def run(name: str = "a-flow") -> object:
        assert (current_flow_name(), current_flow_run(), uses_prefect()) == (name, None, False)
        run_logger().info("running")
        if isinstance(end, Exception):
            raise end
        return end

    return run


ERROR = BadRequestError("no", status_code=400)


@pytest.mark.parametrize(
    ("end", "name", "message"),
    [
        (lambda: 3, "Completed", None),
        (lambda: completed_state(3, name="Quoted", message="rows"), "Quoted", "rows"),
        (lambda: failed_state(ERROR, name="BadInput", message="no"), "BadInput", "no"),
        (lambda: ERROR, "Failed", "BadRequestError: no"),
    ],
)
async def test_a_flow_unwraps_its_state_or_returns_it(
    end: Any, name: str, message: str | None, without_prefect: None
) -> None:
    state = await a_flow(end())(return_state=True)
    assert (type(state), state.name, state.message) == (Ending, name, message)
    if name in ("BadInput", "Failed"):
        for ended in (state.aresult(), a_flow(end())()):
            with pytest.raises(BadRequestError) as raised:
                await ended
            assert raised.value is ERROR
    else:
        assert (await state.aresult(), await a_flow(end())("a-flow")) == (3, 3)
    assert current_flow_name() == ""


def test_a_state_is_told_from_a_result(without_prefect: None) -> None:
    assert is_state(completed_state(3))
    assert not is_state(json.loads("3"))
