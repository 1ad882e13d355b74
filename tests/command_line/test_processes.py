"""What a command leaves behind when it is killed, and what becomes of a paid run when its terminal or reader goes."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pareta_batch.engine.planning import register_rows
from pareta_batch.ledger.ledger import Ledger
from pareta_batch.spec import Batch
from pareta_cli.lifeline import KEY
from pareta_sandbox.testing import Sandbox, running
from tests.end_to_end.processes import Processes, kill, processes, until
from tests.grids import first_of

PROJECT = Path(__file__).parents[2]
SPEC = "name: reviews\nmodel: auto\ndataset: rows.csv\nid_column: id\nprompt: 'Which team? {text}'\nmax_in_flight: 2\n"


@pytest.fixture
def slow() -> Iterator[Sandbox]:
    with running(latency_ms=400) as sandbox:
        yield sandbox


@pytest.fixture
def started(tmp_path: Path, slow: Sandbox) -> Iterator[Processes]:
    """Yield what starts commands in a folder with a spec, without a Prefect server; none is left running."""
    rows = "\n".join(f"{n},ticket {n}" for n in range(200))
    (tmp_path / "rows.csv").write_text(f"id,text\n{rows}\n", encoding="utf-8")
    (tmp_path / "spec.yaml").write_text(SPEC, encoding="utf-8")
    environment = {
        "PREFECT_HOME": str(tmp_path / "prefect"),
        "PREFECT_PROFILES_PATH": str(tmp_path / "prefect" / "profiles.toml"),
        "PREFECT_SERVER_UI_ENABLED": "false",
        KEY: slow.api_key,
        "PARETA_BASE_URL": slow.base_url,
        "PARETA_LEDGER_URL": f"sqlite:///{tmp_path}/ledger.db",
    }
    with processes(tmp_path, **environment) as started:
        yield started


def knows_the_key(pid: int) -> bool:
    try:
        return f"{KEY}=".encode() in Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:  # it has ended
        return False


def run(started: Processes, *arguments: str, folder: Path) -> subprocess.Popen[str]:
    """Start a command whose output is captured through pipes, as scripts do."""
    return started.piped("pareta-pipeline", *arguments, folder=folder)


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="no /proc")
@pytest.mark.parametrize(
    ("command", "children"),
    [pytest.param(("demo",), 2, marks=pytest.mark.long), (("complete", "spec.yaml"), 0)],
)
def test_after_kill_9_nothing_stays_behind(
    started: Processes, slow: Sandbox, tmp_path: Path, command: tuple[str, ...], children: int
) -> None:
    process = run(started, *command, folder=tmp_path)
    until(lambda: len(started.alive()) > children or None, within_s=120, what=f"{children} children")
    if command[0] == "complete":
        until(lambda: slow.books().completions > 2 or None, within_s=120, what="a batch that sends")
    below = [pid for pid in started.alive() if pid != process.pid]
    assert len(below) == children
    # Between fork and exec a child still shows the environment of its parent.
    until(lambda: not any(map(knows_the_key, below)) or None, within_s=30, what="children without the key")
    kill(process.pid)
    # The caller's pipes close with the command: nobody else holds them.
    process.communicate(timeout=30)
    until(lambda: not started.alive() or None, within_s=30, what="no process left")


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="no /proc")
def test_a_sandbox_of_the_command_line_is_the_command_itself(started: Processes, tmp_path: Path) -> None:
    process = run(started, "sandbox", "--port", "0", folder=tmp_path)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("pareta sandbox ready")
    assert started.alive() == [process.pid]
    assert not knows_the_key(process.pid)
    kill(process.pid)
    process.communicate(timeout=30)


CHILD = """
import os, signal, sys, time
from pareta_cli.lifeline import start_child
child = start_child("timeit", ["-n", "1", "-r", "1", "-s", "import time", "{work}"])
print(child.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize(
    "work", ["time.sleep(600)", "import signal; signal.signal(15, signal.SIG_IGN); time.sleep(600)"]
)
def test_a_child_ends_with_its_parent_also_one_that_ignores_sigterm(started: Processes, work: str) -> None:
    parent = started.piped("python", "-c", CHILD.format(work=work), folder=PROJECT)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    # At the moment of its exec a child shows no environment.
    until(lambda: child in started.alive() or None, within_s=30, what="a child")
    kill(parent.pid)
    parent.communicate(timeout=30)
    until(lambda: not started.alive() or None, within_s=30, what="no child left")


OUTLETS = """
import os, sys
from pareta_cli.outlets import use_durable_outputs
use_durable_outputs()
sys.stdin.read()
for n in range(3):
    print("x" * 100_000, file=sys.{stream}, flush=True)
    print("y", file=sys.{stream})
os._exit(7) if "{how}" == "now" else sys.exit(7)
"""


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
@pytest.mark.parametrize("how", ["now", "by itself"])
def test_a_stream_without_a_reader_goes_quiet(started: Processes, stream: str, how: str) -> None:
    program = OUTLETS.format(stream=stream, how=how)
    process = started.piped("python", "-c", program, folder=PROJECT, stdin=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    closed, other = (process.stdout, process.stderr) if stream == "stdout" else (process.stderr, process.stdout)
    closed.close()
    process.stdin.close()
    assert (other.read(), process.wait(timeout=30)) == ("", 7)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is full")
@pytest.mark.parametrize(("stream", "status"), [("stdout", 1), ("stderr", 7)])
def test_a_full_disk_loses_messages_but_not_a_result_silently(stream: str, status: int) -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-c", OUTLETS.format(stream=stream, how="by itself")],
            input=b"",
            stdout=full if stream == "stdout" else subprocess.DEVNULL,
            cwd=PROJECT,
            stderr=full if stream == "stderr" else subprocess.PIPE,
            check=False,
        )
    assert ended.returncode in ({status, 120} if status == 1 else {status})
    if stream == "stdout":
        assert ended.stderr.decode().splitlines() == [
            "standard output: No space left on device; redirect it, and run the command again"
        ]


@pytest.mark.parametrize("number", first_of([signal.SIGTERM, signal.SIGINT, signal.SIGHUP]))
def test_a_signal_before_a_run_ends_the_command_as_stopped(
    started: Processes, tmp_path: Path, number: signal.Signals
) -> None:
    os.mkfifo(tmp_path / "slow.yaml")
    process = run(started, "export", "slow.yaml", folder=tmp_path)
    with (tmp_path / "slow.yaml").open("w"):  # opens when the command opens its spec
        process.send_signal(number)
        process.send_signal(signal.SIGHUP)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 3
    assert said in {f"stopped by {each} before it was done; run it again\n" for each in (number.name, "SIGHUP")}


INTERRUPTED_IMPORT = """
import os, signal, sys
from pareta_cli.__main__ import main

class Interrupt:
    left = int(sys.argv.pop(1))

    def find_spec(self, name, path=None, target=None):
        Interrupt.left -= 1
        if Interrupt.left == 0:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
main()
"""


@pytest.mark.parametrize(
    ("imports", "options"),
    # With its log, a command without an API imports Prefect too.
    [(1, ()), (40, ()), (300, ()), (1_000, ("--verbose",))],
)
def test_a_signal_during_the_imports_prints_one_line(
    started: Processes, tmp_path: Path, imports: int, options: tuple[str, ...]
) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_IMPORT, str(imports), "complete", "spec.yaml", *options],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=started.environment | {"PYTHONPATH": str(PROJECT)},
        check=False,
    )
    said = ended.stderr.removeprefix("starting spec.yaml …\n")
    assert (ended.returncode, said) == (3, "stopped by SIGINT before it was done; run it again\n")


HALTED = """
import os, sys, time
from pareta_cli.__main__ import main

def halt(source, target):
    print("written", source, flush=True)
    time.sleep(60)

os.replace = halt
sys.argv = ["pareta-pipeline", "export", "spec.yaml"]
main()
"""
"""A command that halts when the part file is complete and has not replaced the answers file."""


@pytest.mark.parametrize("number", first_of([signal.SIGHUP, signal.SIGTERM]))
def test_a_signal_while_answers_are_written_leaves_no_part(
    started: Processes, tmp_path: Path, number: signal.Signals
) -> None:
    batch = Batch(name="reviews", model="auto", dataset=str(tmp_path / "rows.csv"), prompt="{text}", id_column="id")
    ledger = Ledger.open(started.environment["PARETA_LEDGER_URL"])
    register_rows(batch.model_copy(update={"output": str(tmp_path / "answers" / "reviews.jsonl")}), ledger)
    ledger.close()
    process = started.piped("python", "-c", HALTED, folder=tmp_path)
    assert process.stdout is not None
    said, _, part = process.stdout.readline().strip().partition(" ")
    assert said == "written"
    assert Path(part).stat().st_size
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode == 3
    assert list((tmp_path / "answers").iterdir()) == []


SIGNALS = """
import asyncio, os, signal, sys
from flows.signals import run_until_interrupted

async def work():
    print("working", flush=True)
    try:
        await asyncio.sleep(600)
    except asyncio.CancelledError:
        for number in map(int, sys.argv[1:]):
            os.kill(os.getpid(), number)
        await asyncio.sleep(0.2)
        print("cleaned up", flush=True)
        raise

try:
    run_until_interrupted(work, print)
except asyncio.CancelledError:
    sys.exit(3)
"""


SHELLS: list[tuple[signal.Signals, list[signal.Signals]]] = [
    (signal.SIGINT, [signal.SIGTERM, signal.SIGHUP]),
    (signal.SIGTERM, [signal.SIGHUP]),
    (signal.SIGHUP, []),
]
OTHER_SHELLS = [
    pytest.param(first, again, marks=pytest.mark.long)
    for first in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for again in ([], [signal.SIGHUP], [signal.SIGTERM, signal.SIGHUP])
    if (first, again) not in SHELLS
]


@pytest.mark.parametrize(("first", "again"), [*SHELLS, *OTHER_SHELLS])
def test_a_signal_ends_a_run_once_however_often_a_shell_repeats_it(
    started: Processes, first: signal.Signals, again: list[signal.Signals]
) -> None:
    process = started.piped("python", "-c", SIGNALS, *(str(int(number)) for number in again), folder=PROJECT)
    assert process.stdout is not None
    assert process.stdout.readline() == "working\n"
    process.send_signal(first)
    said, _ = process.communicate(timeout=30)
    assert (said, process.returncode) == ("cleaned up\n", 3)


def test_under_nohup_a_closed_terminal_is_ignored(started: Processes) -> None:
    process = started.piped(
        *("python", "-c", SIGNALS),
        folder=PROJECT,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "working\n"
    process.send_signal(signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=0.5)
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=30)[0] == "cleaned up\n"


@pytest.mark.long
def test_a_pilot_that_loses_its_terminal_settles_what_is_in_flight(
    started: Processes, slow: Sandbox, tmp_path: Path
) -> None:
    process = run(started, "quote", "spec.yaml", "--pilot", "50", folder=tmp_path)
    until(lambda: slow.books().completions_seen > 2 or None, within_s=60, what="a pilot that sends")
    process.send_signal(signal.SIGHUP)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 3, said
    assert "the terminal was closed (SIGHUP)" in said
    ended = started.run("pareta-pipeline", "status", "reviews", folder=tmp_path)
    assert f"{slow.books().completions} of 200 rows settled" in ended
    slow.debited_once()
