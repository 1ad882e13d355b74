"""`--log-format json` and PARETA_LOG_FORMAT: every line of standard error is one JSON object."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pareta_sandbox.pytest_plugin import sandbox  # noqa: F401
from pareta_sandbox.testing import Sandbox, Status
from tests.batch.batches import numbered, write_rows

SPEC = """
name: logged
model: ep_seed_tickets
dataset: rows.jsonl
id_column: id
prompt: "Which team? {text}"
sampling: {max_tokens: 10}
output: answers.jsonl
"""


def ran(folder: Path, sandbox: Sandbox, *command: str, **variables: str) -> tuple[int, list[dict[str, Any]], str]:  # noqa: F811
    """Run the program; return its status, the objects of standard error, and standard output."""
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(folder),
        "PREFECT_HOME": str(folder / "prefect"),
        "PARETA_API_KEY": sandbox.api_key,
        "PARETA_BASE_URL": sandbox.base_url,
        "PARETA_LEDGER_URL": f"sqlite:///{folder}/ledger.db",
        **variables,
    }
    arguments = [sys.executable, "-m", "pareta_cli", *command]
    done = subprocess.run(
        arguments, cwd=folder, env=environment, capture_output=True, text=True, timeout=100, check=False
    )
    return done.returncode, [json.loads(line) for line in done.stderr.splitlines()], done.stdout


@pytest.mark.long
@pytest.mark.timeout(600)
def test_every_line_of_a_run_without_a_server_is_an_object(tmp_path: Path, sandbox: Sandbox) -> None:  # noqa: F811
    write_rows(tmp_path / "rows.jsonl", numbered(5))
    (tmp_path / "spec.yaml").write_text(SPEC)
    status, lines, out = ran(tmp_path, sandbox, "--log-format", "json", "complete", "spec.yaml", "--json")
    assert (status, json.loads(out)["settled"]) == (0, 5)
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    (event,) = [line for line in lines if line.get("event") == "pareta.batch.completed"]
    assert (event["batch"], event["fields"]["settled"], event["level"]) == ("logged", 5, "INFO")
    assert any("rows" in line["message"] and line["logger"].endswith("pareta") for line in lines)

    sandbox.inject(Status(status=401, detail=f"no such key {sandbox.api_key}"))
    write_rows(tmp_path / "rows.jsonl", numbered(6))
    status, lines, out = ran(tmp_path, sandbox, "--debug", "complete", "spec.yaml", PARETA_LOG_FORMAT="json")
    assert status == 2
    assert any(line.get("event") == "pareta.batch.incomplete" for line in lines)
    assert sandbox.api_key not in json.dumps(lines) + out


def test_errors_are_log_lines_of_level_error(tmp_path: Path, sandbox: Sandbox) -> None:  # noqa: F811
    status, lines, _ = ran(tmp_path, sandbox, "--debug", "complete", "none.yaml", PARETA_LOG_FORMAT="json")
    assert status == 2
    errors = [line["message"] for line in lines if line["level"] == "ERROR"]
    assert "none.yaml: no such file" in errors[0]
    assert errors[1].startswith("Traceback (most recent call last):\n")
    status, lines, _ = ran(tmp_path, sandbox, "complete", "--nope", PARETA_LOG_FORMAT="json")
    assert (status, [line["level"] for line in lines]) == (2, ["ERROR"])
