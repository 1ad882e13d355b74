"""The first output of every command comes before the imports and the calls that take long."""

import json
import subprocess
import sys

import pytest

from pareta_cli.app import COMMANDS
from tests.command_line.test_processes import PROJECT, SPEC

FIRST_OUTPUTS = """
import json, os, sys
from pareta_cli.__main__ import use_bundled_packages
use_bundled_packages()
from pareta_cli.app import app

class FirstOutput:
    def __init__(self, stream):
        self._stream = stream

    def __getattr__(self, name):
        return getattr(self._stream, name)

    def write(self, text):
        if text == "":
            return 0
        os.write(result, json.dumps([text + "", sorted(SLOW & sys.modules.keys())]).encode())
        os._exit(0)

SLOW, printed = set(json.loads(sys.argv[1])), {}
for name, arguments in json.loads(sys.argv[2]).items():
    reading, result = os.pipe()
    if os.fork() == 0:
        sys.argv = ["pareta-pipeline", name.split()[0], *arguments]
        sys.stdout, sys.stderr = FirstOutput(sys.stdout), FirstOutput(sys.stderr)
        app()
        os._exit(1)
    os.close(result)
    with os.fdopen(reading) as written:
        printed[name] = json.load(written)
    os.wait()
print(json.dumps(printed))
"""

SLOW = ("prefect", "aiohttp", "pandas", "scipy", "matplotlib", "openpyxl", "pareta_sandbox", "fastapi")
"""Modules that take most of the start of a command; some of them take a second alone."""

EVALS = {"name": "c", "task": "t", "rows": "rows.csv", "models": ["a", "b"]}
SPECS = {
    "complete": SPEC,
    "compare": json.dumps({"name": "c", "comparisons": [EVALS]}),
    "promote": json.dumps({"name": "c", "comparison": EVALS, "policy": {}}),
    "watch": json.dumps({"name": "c", "comparison": EVALS, "plot": "plot.svg"}),
    "deploy": json.dumps({"name": "c", "task": "t"}),
    "run": json.dumps({"name": "c", "task": "t", "batch": {"dataset": "rows.csv", "prompt": "{text}"}}),
}
FLOWS = {command: (f"{command}.json",) for command in SPECS}
SPEND = FLOWS | {
    "complete --sample": ("complete.json", "--sample", "2"),
    "retry-failed": ("complete.json",),
    "quote": ("complete.json", "--pilot", "2"),
    "demo": (),
}
"""Arguments of the commands that spend."""
OTHERS: dict[str, tuple[str, ...]] = {
    "doctor": (),
    "validate": ("complete.json",),
    "status": (),
    "export": ("complete.json",),
    "spend": (),
    "pause": ("reviews",),
    "resume": ("reviews",),
    "set": ("reviews", "max_in_flight=2"),
    "init": ("rows.csv", "--yes"),
    "schema": ("complete",),
    "set-up": (),
    "credentials": ("pareta-prod",),
    "schedule": ("complete.json", "--cron", "0 6 * * 1-5"),
    "server": ("--stop",),
}


Outputs = dict[str, tuple[str, list[str]]]


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Outputs:
    """The first output of each command, and the slow modules that were imported before it."""
    folder = tmp_path_factory.mktemp("first")
    for command, spec in SPECS.items():
        (folder / f"{command}.json").write_text(spec, encoding="utf-8")
    (folder / "rows.csv").write_text("id,text\n1,a\n2,b\n", encoding="utf-8")
    ended = subprocess.run(
        [sys.executable, "-c", FIRST_OUTPUTS, json.dumps(SLOW), json.dumps(SPEND | OTHERS)],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={
            "PARETA_API_KEY": "pareta_sk_test",
            "PARETA_BASE_URL": "http://127.0.0.1:9",
            "PREFECT_HOME": str(folder / "prefect"),
            "PYTHONPATH": str(PROJECT),
        },
    )
    assert ended.returncode == 0, ended.stderr
    found: Outputs = json.loads(ended.stdout)
    return found


def test_every_command_has_a_row_in_the_tables() -> None:
    commands = {name for panel in COMMANDS.values() for name in panel}
    assert {command.partition(" ")[0] for command in SPEND | OTHERS} == commands


@pytest.mark.long
def test_the_first_output_of_every_command_comes_before_slow_imports(outputs: Outputs) -> None:
    assert outputs.keys() == (SPEND | OTHERS).keys()
    assert {name: slow for name, (_, slow) in outputs.items() if slow} == {}


@pytest.mark.long
def test_a_command_that_spends_announces_its_work_first(outputs: Outputs) -> None:
    first = {name: outputs[name][0] for name in SPEND}
    assert {name: text for name, text in first.items() if not text.endswith(" …\n")} == {}
