"""Members of a command: Ctrl-C and remote control reach all of them, and none outlives the command."""

import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa

from pareta_batch.engine.control import Controls
from pareta_batch.ledger.ledger import Ledger
from pareta_batch.ledger.run_tables import member_parts
from pareta_cli.lifeline import KEY
from pareta_sandbox.testing import Sandbox, running
from tests.batch import postgres
from tests.end_to_end.processes import Processes, processes, until

ROWS, IN_FLIGHT = 400, 8
SPEC = """\
name: reviews
model: auto
dataset: rows.csv
id_column: id
prompt: 'Which team? {text}'
max_in_flight: 8
processes: 2
"""


@dataclass(frozen=True)
class Command:
    """A command that can be started in a folder, the service that it calls, and its ledger."""

    started: Processes
    folder: Path
    service: Sandbox
    ledger: Ledger

    def begin(self, *options: str) -> "subprocess.Popen[str]":
        """Start `complete` in a process group of its own, as a terminal does."""
        command = ("pareta-pipeline", "complete", "spec.yaml", *options)
        return self.started.piped(*command, folder=self.folder, stderr=subprocess.STDOUT, start_new_session=True)

    def sends(self, more: int) -> None:
        """Wait until the service has completed more calls than now."""
        before = self.service.books().completions
        until(lambda: self.service.books().completions >= before + more or None, within_s=90, what="a batch that sends")

    def is_gone(self) -> None:
        """Wait until no process is left."""
        until(lambda: not self.started.alive() or None, within_s=30, what="the end of every process")


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Command]:
    rows = "\n".join(f"{n},ticket {n}" for n in range(ROWS))
    (tmp_path / "rows.csv").write_text(f"id,text\n{rows}\n", encoding="utf-8")
    (tmp_path / "spec.yaml").write_text(SPEC, encoding="utf-8")
    with running(latency_ms=100) as service, postgres.server() as server, server.database() as url:
        environment = {
            "PREFECT_HOME": str(tmp_path / "prefect"),
            "PREFECT_PROFILES_PATH": str(tmp_path / "prefect" / "profiles.toml"),
            KEY: service.api_key,
            "PARETA_BASE_URL": service.base_url,
            "PARETA_LEDGER_URL": url,
        }
        ledger = Ledger.open(url)
        with processes(tmp_path, **environment) as started:
            yield Command(started, tmp_path, service, ledger)
        ledger.close()


@pytest.mark.long
def test_ctrl_c_and_kill_9_end_every_member_and_a_later_run_sends_what_is_missing(command: Command) -> None:
    first = command.begin()
    command.sends(40)
    os.killpg(first.pid, signal.SIGINT)
    output, _ = first.communicate(timeout=60)
    assert first.returncode == 3, output
    assert "Interrupted" in output
    assert "Traceback" not in output
    assert command.started.alive() == []
    assert command.ledger.tally("reviews").settled == command.service.books().completions < ROWS

    second = command.begin()
    command.sends(40)
    second.kill()
    second.communicate()
    command.is_gone()
    sent = command.service.books().completions
    assert command.service.books().in_flight == 0

    # The members of a dead parent have settled what they sent: only the other rows are sent.
    last = command.begin("--set", "processes=3")
    output, _ = last.communicate(timeout=90)
    assert last.returncode == 0, output
    assert f"{ROWS} of {ROWS} rows settled" in output
    assert command.started.alive() == []
    assert sent < ROWS
    command.service.completed(ROWS)
    command.service.debited_once()


@pytest.mark.long
def test_a_pause_and_a_smaller_limit_hold_for_all_members_together(command: Command) -> None:
    process = command.begin()
    controls = Controls(command.ledger, "reviews")
    command.sends(20)
    controls.request(paused=True)
    until(lambda: command.service.books().in_flight == 0 or None, within_s=30, what="a pause of every member")
    paused = command.service.books().completions
    controls.request(paused=False, max_in_flight=2)
    command.sends(20)
    assert command.service.books().completions > paused
    assert command.service.books().in_flight <= 2
    controls.request(max_in_flight=IN_FLIGHT)
    output, _ = process.communicate(timeout=90)
    assert process.returncode == 0, output
    command.service.never_more_in_flight_than(IN_FLIGHT)
    command.service.debited_once()


@pytest.mark.long
def test_members_of_a_command_write_the_parts_of_an_output_folder(command: Command) -> None:
    with command.begin("--set", "output=answers/", "--set", "part_rows=100", "--set", "shard_size=50") as process:
        output = process.communicate(timeout=110)[0]
    assert process.returncode == 0, output
    parts = {path.name for path in (command.folder / "answers").iterdir()}
    assert parts == {"_SUCCESS", "_batch.json", *(f"part-{number:05}.parquet" for number in range(4))}
    with command.ledger.transaction() as db:
        written = db.execute(sa.select(member_parts.c.parts, member_parts.c.rows)).all()
    assert sum(rows for _, rows in written) == ROWS, "the members wrote all of them"
    command.service.debited_once()
