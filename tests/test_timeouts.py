"""A test that runs out of time fails alone, wherever the time is lost."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

CONFTEST = """
import time
import pytest
from tests.timeouts import pytest_runtest_protocol

@pytest.fixture
def slow_setup():
    time.sleep(2)

@pytest.fixture
def slow_teardown():
    yield
    time.sleep(2)

SLOW = {("test_slow_report", "call"), ("test_slow_report_of_setup", "setup")}

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_logreport(report):
    step = (report.nodeid.rpartition("::")[2], report.when)
    if step in SLOW:
        SLOW.remove(step)
        time.sleep(2)
"""

TESTS = """
import asyncio, time

def test_before(): pass
def test_slow(): time.sleep(2)
async def test_slow_await(): await asyncio.sleep(2)
def test_slow_setup(slow_setup): pass
def test_slow_teardown(slow_teardown): pass
def test_slow_report(): pass
def test_slow_report_of_setup(): pass
def test_after(): pass
"""

OUT_OF_TIME = ["slow", "slow_await", "slow_report", "slow_report_of_setup"]


@pytest.mark.parametrize(
    "processes", [[], pytest.param(["-n", "1"], marks=pytest.mark.long)], ids=["one process", "xdist"]
)
def test_a_test_that_runs_out_of_time_fails_alone(tmp_path: Path, processes: list[str]) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_slow.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\ntimeout = 1\nasyncio_mode = auto\npythonpath = .\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "-p", "no:cacheprovider", "-rA", *processes]
    ran = subprocess.run(
        command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert "INTERNALERROR" not in ran.stdout + ran.stderr
    assert ran.returncode == 1, ran.stdout + ran.stderr
    outcomes = {
        line.split()[1].rpartition("test_")[2]: line.split()[0] for line in ran.stdout.splitlines() if "::" in line
    }
    assert {name for name, outcome in outcomes.items() if outcome == "FAILED"} == set(OUT_OF_TIME)
    assert {name for name, outcome in outcomes.items() if outcome == "PASSED"} == {"before", "after"}
