"""Runs that lose their terminal or are asked to end: what is in flight settles, and the state and the status say so."""

import fcntl
import os
import pty
import signal
import subprocess
import termios

import pytest

from tests.end_to_end.conftest import House
from tests.end_to_end.processes import kill, until
from tests.end_to_end.test_deployments import BATCH, batch, rows, state_of

SPEC = "name: {name}\nmodel: auto\ndataset: examples/tickets.csv\nid_column: id\nprompt: 'Team? {{ticket}}'\n"


def completing(house: House, name: str, terminal: int) -> subprocess.Popen[str]:
    """Start a batch of the command line in a session of its own, with a terminal as its input and outputs."""
    spec = house.folder / f"{name}.yaml"
    spec.write_text(SPEC.format(name=name) + "max_in_flight: 4\n", encoding="utf-8")
    return house.processes.piped(
        *("pareta-pipeline", "complete", str(spec)),
        folder=house.folder,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )


def settled_rows(house: House, name: str) -> int:
    """Return how many rows the ledger has settled."""
    told = house.processes.run("pareta-pipeline", "status", name, folder=house.folder)
    return int(told.removeprefix(f"{name}: ").split(" of ")[0])


@pytest.mark.long
def test_a_batch_whose_terminal_is_closed_settles_what_is_in_flight(slow: House) -> None:
    before = slow.pareta.books().completions
    here, there = pty.openpty()
    process = completing(slow, "hung-up", there)
    os.close(there)
    slow.settled(before, 2)
    os.close(here)  # as a closed window or a dropped ssh does: SIGHUP, and every write is an error
    assert process.wait(timeout=60) == 3
    (run,) = slow.prefect.runs_named("complete hung-up on auto")
    assert state_of(run) == ("FAILED", "Interrupted")
    assert "the terminal was closed (SIGHUP)" in run["state"]["message"]
    assert settled_rows(slow, "hung-up") == slow.pareta.books().completions - before < rows(slow)
    assert (slow.folder / "answers/hung-up.jsonl").exists()
    slow.pareta.debited_once()


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_deployed_run_settles_what_is_in_flight_on_a_hangup_as_on_a_termination(
    slow: House, number: signal.Signals
) -> None:
    before = slow.pareta.books().completions
    name = f"signalled-{number.name.lower()}"
    run = slow.prefect.run(BATCH, batch=batch(slow, name, max_in_flight=4))
    slow.settled(before, 2)
    pid = until(lambda: slow.prefect.process_of(run["id"]), within_s=30, what="the run's process")
    kill(pid, number)
    assert slow.prefect.ended(run["id"])["state"]["type"] == "CRASHED"
    until(lambda: pid not in slow.processes.alive() or None, within_s=30, what="no process")
    assert settled_rows(slow, name) == slow.pareta.books().completions - before < rows(slow)
    slow.pareta.debited_once()
