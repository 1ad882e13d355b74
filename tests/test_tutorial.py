"""The tutorial: its commands run as they stand, in one terminal, in a copy of the project."""

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.conftest import PARTS
from tests.end_to_end.processes import processes
from tests.ports import free_port

ROOT = Path(__file__).parent.parent
BLOCKS = re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8"), re.DOTALL)
INSTALL = 'make install\nexport PATH="$PWD/.venv/bin:$PATH"\n'


@pytest.fixture
def home() -> Iterator[Path]:
    """Yield a temporary folder, in memory if possible: on a busy disk Prefect's SQLite stalls for 30 s."""
    in_memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=in_memory if in_memory.is_dir() else None) as folder:
        yield Path(folder)


def test_it_begins_with_the_installation() -> None:
    assert BLOCKS[0] == INSTALL
    assert re.search(r"^install:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.long
@pytest.mark.server
@pytest.mark.timeout(1000)
def test_every_command_runs_and_leads_to_a_scheduled_pipeline(home: Path) -> None:
    folder = home / "project"
    for part in PARTS:
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "prefect.yaml", folder)
    output = _run(home, folder, "\n".join(BLOCKS[1:]))
    assert "20 of 20 rows settled, 0 failed" in output
    assert "Flow run finished successfully in 'Completed'" in output
    assert "cron: 30 6 * * 1-5" in output
    for written in ("first.yaml", "first-models.html", "answers/first.csv", "answers/first.html"):
        assert (folder / written).exists(), written
    assert "in 20 debits" in output, "a second run paid again"
    assert "this run: 0 rows sent" in output


def _run(home: Path, folder: Path, commands: str) -> str:
    """Run the commands with ports and a home of their own; return the output, and end all their processes."""
    for port in ("8765", "4200"):
        commands = commands.replace(port, str(free_port()))
    settings = {
        "PREFECT_HOME": str(home / "prefect"),
        "PREFECT_PROFILES_PATH": str(home / "prefect" / "profiles.toml"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "MPLCONFIGDIR": str(home / "matplotlib"),
    }
    log = home / "output.log"
    with processes(home, **settings) as started, log.open("w") as output:
        path = f"{Path(sys.executable).parent}:{started.environment['PATH']}"
        ended = subprocess.run(
            ["bash", "-euo", "pipefail", "-x", "-c", commands],
            cwd=folder,
            env={**started.environment, "PATH": path},
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=900,
            check=False,
        )
    assert ended.returncode == 0, log.read_text(encoding="utf-8")
    return log.read_text(encoding="utf-8")
