"""The programs of the concurrency guide run as they stand."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pareta_sandbox.testing import Sandbox, running

PROGRAMS = Path(__file__).parents[2] / "examples" / "concurrency"
ENDPOINT = "ep_seed_licenses"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with running(latency_ms=1, eval_s=0.1) as running_sandbox:
        yield running_sandbox


def printed_by(program: str, sandbox: Sandbox, *arguments: str) -> list[str]:
    environment = {**os.environ, "PARETA_API_KEY": sandbox.api_key, "PARETA_BASE_URL": sandbox.base_url}
    command = [sys.executable, str(PROGRAMS / f"{program}.py"), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_batch_is_answered_by_gather(sandbox: Sandbox) -> None:
    assert len(printed_by("batch_by_gather", sandbox, ENDPOINT)) == 20
    assert sandbox.books().debit_count == 20


def test_sixteen_calls_are_in_flight_over_a_thousand_documents(sandbox: Sandbox) -> None:
    printed = printed_by("sixteen_at_a_time", sandbox, ENDPOINT)
    assert printed[0].startswith("1000 answers")
    sandbox.never_more_in_flight_than(16)
    assert sandbox.books().debit_count == 1_000


def test_a_failed_call_is_an_outcome_of_its_own(sandbox: Sandbox) -> None:
    printed = printed_by("errors_by_task", sandbox, ENDPOINT)
    assert sum("NotFoundError, fatal to the batch" in line for line in printed) == 3
    assert sandbox.books().debit_count == 3


def test_streams_are_read_at_once(sandbox: Sandbox) -> None:
    printed = printed_by("streams_at_once", sandbox, ENDPOINT)
    assert {line.split(":")[0] for line in printed} == {"stream 1", "stream 2", "stream 3", "billed"}
    assert "None" not in printed[-1]


def test_eval_runs_are_waited_for_at_once(sandbox: Sandbox) -> None:
    printed = printed_by("eval_runs_at_once", sandbox, "heron-1", "wren-1")
    assert [line.split(",")[0] for line in printed if "$" in line] == ["permissive: completed", "copyleft: completed"]
    assert sandbox.books().eval_runs_created == 2


@pytest.mark.parametrize("program", [path.stem for path in PROGRAMS.glob("[a-z]*.py")])
def test_every_program_is_run_by_a_test(program: str) -> None:
    assert f'printed_by("{program}"' in Path(__file__).read_text()
