"""`demo --keep` leaves a Prefect server and the report; the printed command ends the server."""

import re
import shlex
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.end_to_end.processes import Processes, processes, until

pytestmark = [pytest.mark.long, pytest.mark.server, pytest.mark.timeout(900)]

KEPT = re.compile(r"^Prefect: (http://\S+), until you stop it: (pareta-pipeline .+)$", re.MULTILINE)


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Processes]:
    with processes(tmp_path, PREFECT_HOME=str(tmp_path / "prefect")) as started:
        yield started


def stopped_by_the_printed_command(started: Processes, printed: str, folder: Path) -> str:
    """Check that one server is left, stop it as printed, and return its URL."""
    (kept,) = KEPT.findall(printed)
    url, command = kept
    assert httpx.get(f"{url}/api/health", trust_env=False, timeout=60).is_success
    assert started.alive()
    assert "Prefect server stopped" in started.run(*shlex.split(command), folder=folder)
    until(lambda: not started.alive() or None, within_s=60, what="no process left")
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/api/health", trust_env=False, timeout=60)
    return str(url)


def test_a_kept_demo_leaves_server_and_report_until_the_printed_command(started: Processes, tmp_path: Path) -> None:
    printed = started.run("pareta-pipeline", "demo", "--keep", folder=tmp_path, within_s=600)
    ((url, _),) = KEPT.findall(printed)
    runs = httpx.post(f"{url}/api/flow_runs/filter", json={}, trust_env=False, timeout=60).json()
    assert {run["state_type"] for run in runs} == {"COMPLETED"}
    assert len(runs) > 1
    pages = [Path(page) for page in re.findall(r"\S+\.html", printed)]
    assert pages
    assert all((tmp_path / page).stat().st_size for page in pages)
    stopped_by_the_printed_command(started, printed, tmp_path)
    assert all((tmp_path / page).exists() for page in pages)


def test_an_interrupted_demo_prints_how_to_stop_its_server(started: Processes, tmp_path: Path) -> None:
    demo = started.piped("pareta-pipeline", "demo", "--keep", folder=tmp_path)
    assert demo.stderr is not None
    next(line for line in demo.stderr if "licence texts in " in line)
    demo.send_signal(signal.SIGINT)
    printed, complaints = demo.communicate(timeout=120)
    assert demo.returncode == 3, complaints
    stopped_by_the_printed_command(started, printed, tmp_path)
