"""The start of a command: what it imports before the first request, and what it prints first."""

import gc
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from typer.testing import CliRunner

from pareta_cli.app import app
from pareta_cli.environment import without_gc
from pareta_cli.spec_kinds import Command
from pareta_sandbox.testing import running
from tests.command_line.test_processes import PROJECT, SPEC
from tests.end_to_end.processes import processes

WHAT_IS_IMPORTED = """
import atexit, sys

def on_event(event, arguments):
    if event == "socket.connect" and arguments[1][1] == PORT:
        print("at the first request:", *sys.modules, flush=True)

PORT = int(sys.argv.pop(1))
sys.addaudithook(on_event)
atexit.register(lambda: print("at the end:", *sys.modules, flush=True))
from pareta_cli.__main__ import main
main()
"""

NOT_BEFORE_THE_FIRST_REQUEST = (
    *("pandas", "scipy", "matplotlib", "openpyxl", "pyarrow.compute", "pyarrow.dataset", "pydoc"),
    *("prefect", "griffe", "coolname", "fsspec", "websockets", "prometheus_client", "jsonschema"),
    *("flows.parameters", "flows.quotes", "rich._emoji_codes"),
    *("jinja2", "pareta_sandbox", "flows.reports", "pareta_report.render.page"),
    *(
        "fastapi",
        "uvicorn",
        "apprise",
        "sqlalchemy.dialects.mysql",
        "sqlalchemy.dialects.postgresql",
    ),
)
"""Modules of the report, of other formats and of servers: seconds of work while no row is sent."""


def imported_by(command: str, folder: Path, *options: str, **environment: str) -> tuple[set[str], set[str]]:
    """Run a command on two rows; return the modules at the first request, and those at the end."""
    (folder / "rows.csv").write_text("id,text\n1,a\n2,b\n", encoding="utf-8")
    (folder / "spec.yaml").write_text(SPEC, encoding="utf-8")
    with running() as sandbox:
        settings = {
            "PREFECT_HOME": str(folder / "prefect"),
            "PREFECT_PROFILES_PATH": str(folder / "prefect" / "profiles.toml"),
            "PARETA_API_KEY": sandbox.api_key,
            "PARETA_BASE_URL": sandbox.base_url,
            "PARETA_LEDGER_URL": f"sqlite:///{folder}/ledger.db",
            "PYTHONPATH": str(PROJECT),
            **environment,
        }
        program = ("python", "-c", WHAT_IS_IMPORTED, str(urlsplit(sandbox.base_url).port))
        with processes(folder, **settings) as started:
            said = started.run(*program, command, "spec.yaml", *options, folder=folder)
        assert sandbox.books().completions == 2
    lines = said.splitlines()
    first = next(line for line in lines if line.startswith("at the first request:"))
    last = next(line for line in lines if line.startswith("at the end:"))
    return set(first.split()), set(last.split())


def test_before_the_first_request_nothing_is_imported_that_it_does_not_need(tmp_path: Path) -> None:
    first, last = imported_by("complete", tmp_path)
    assert first >= {"flows.complete_batch", "aiohttp"}
    assert sorted(first & set(NOT_BEFORE_THE_FIRST_REQUEST)) == []
    assert "prefect" not in last


@pytest.mark.parametrize(
    ("options", "environment"),
    [(("--verbose",), {}), ((), {"PARETA_LOG_FORMAT": "json"}), ((), {"PREFECT_LOGGING_LEVEL": "DEBUG"})],
)
def test_a_command_that_shows_log_lines_of_prefect_imports_it(
    options: tuple[str, ...], environment: dict[str, str], tmp_path: Path
) -> None:
    first, _ = imported_by("complete", tmp_path, *options, **environment)
    assert "prefect" in first


@pytest.mark.parametrize(
    ("command", "more"),
    [(Command.COMPLETE, {"pareta_evals.spec", "pyarrow", "httpx"}), (Command.COMPARE, {"flows.parameters"})],
)
def test_a_spec_is_read_without_the_models_of_other_commands(command: Command, more: set[str]) -> None:
    program = (
        f"import sys; from pareta_cli.spec_kinds import Command, kind_of; kind_of(Command({command.value!r})); "
        f"sys.exit(' '.join(({more!r} | {{'prefect', 'pandas'}}) & sys.modules.keys()))"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=PROJECT)
    assert ended.stderr.strip() == ""


@pytest.mark.parametrize("command", ["complete", "retry-failed", "compare", "promote", "watch", "run", "deploy"])
def test_an_invalid_spec_prints_only_its_error(tmp_path: Path, command: str) -> None:
    (tmp_path / "spec.yaml").write_text("nmae: x\n", encoding="utf-8")
    ended = CliRunner().invoke(app, [command, str(tmp_path / "spec.yaml")])
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert all(line.startswith(f"{tmp_path}/spec.yaml: ") for line in ended.stderr.splitlines()), ended.stderr


def test_the_collector_works_again_after_the_imports() -> None:
    with without_gc():
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ZeroDivisionError), without_gc():
        raise ZeroDivisionError
    assert gc.isenabled()
    gc.unfreeze()
