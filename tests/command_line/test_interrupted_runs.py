"""`complete` and `compare` without a Prefect server, interrupted in every way: nothing is paid twice."""

import random
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from pareta_cli.lifeline import KEY
from pareta_sandbox.testing import Sandbox, running
from tests.command_line.test_processes import run
from tests.end_to_end.processes import Processes, kill, processes, until

ROWS = 24
SPECS = {
    "complete": "name: tickets\nmodel: auto\ndataset: rows.csv\nid_column: id\nprompt: 'Which team? {text}'\n"
    "max_in_flight: 2\nreuse: {duplicates: false}\n",
    "compare": "name: models\ncomparisons:\n- name: teams\n  task: sentiment-classification\n  rows: eval.jsonl\n"
    "  models: [wren-1, heron-2]\n  frontier: none\n",
}
# A loaded machine needs seconds to start each of the commands.
pytestmark = [pytest.mark.timeout(900), pytest.mark.long]

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@contextmanager
def service(folder: Path, **settings: float) -> Iterator[tuple[Sandbox, Processes]]:
    """Yield a service, and what starts commands that know it and no Prefect server."""
    rows = "\n".join(f"{n},ticket {n}" for n in range(ROWS))
    (folder / "rows.csv").write_text(f"id,text\n{rows}\n", encoding="utf-8")
    lines = (f'{{"input": "I love it ({n})", "expected": "positive"}}\n' for n in range(20))
    (folder / "eval.jsonl").write_text("".join(lines), encoding="utf-8")
    for command, spec in SPECS.items():
        (folder / f"{command}.yaml").write_text(spec, encoding="utf-8")
    with running(**settings) as sandbox:  # type: ignore[arg-type]  # durations only
        environment = {
            "PREFECT_HOME": str(folder / "prefect"),
            "PREFECT_PROFILES_PATH": str(folder / "prefect" / "profiles.toml"),
            KEY: sandbox.api_key,
            "PARETA_BASE_URL": sandbox.base_url,
            "PARETA_LEDGER_URL": f"sqlite:///{folder}/ledger.db",
        }
        with processes(folder, **environment) as started:
            yield sandbox, started


def begun(started: Processes, sandbox: Sandbox, command: str, folder: Path, *, seen: int = 3) -> subprocess.Popen[str]:
    """Start a command, and return it once the service has received this number of its calls."""
    process = run(started, command, f"{command}.yaml", folder=folder)
    until(lambda: work_seen(sandbox) >= seen or process.poll() is not None, within_s=300, what="a run that sends")
    assert process.poll() is None, process.communicate()
    return process


def work_seen(sandbox: Sandbox) -> int:
    books = sandbox.books()
    return books.completions_seen + books.eval_runs_created


def paid_once(started: Processes, sandbox: Sandbox, command: str, folder: Path) -> None:
    """Run the command to its end, and check that all of its work is done and was debited once."""
    assert "this run:" in started.run("pareta-pipeline", command, f"{command}.yaml", folder=folder)
    sandbox.debited_once()
    books = sandbox.books()
    if command == "complete":
        assert books.completions == ROWS
    else:
        assert books.eval_runs_created == 1
    spent = books.debited_micro_usd
    started.run("pareta-pipeline", command, f"{command}.yaml", folder=folder)
    assert sandbox.books().debited_micro_usd == spent > 0


@pytest.mark.parametrize(
    ("command", "number"),
    [
        ("complete", signal.SIGINT),
        *(("complete", each) for each in SIGNALS[1:]),
        *(("compare", each) for each in SIGNALS),
    ],
)
def test_after_a_signal_the_next_run_completes_the_work_and_nothing_is_paid_twice(
    tmp_path: Path, command: str, number: signal.Signals
) -> None:
    with service(tmp_path, latency_ms=300, eval_s=2) as (sandbox, started):
        process = begun(started, sandbox, command, tmp_path, seen=3 if command == "complete" else 1)
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
        assert process.returncode == 3, said
        assert "Traceback" not in said
        if command == "complete":
            assert "calls in flight finish and settle" in said
            settled = started.run("pareta-pipeline", "status", "tickets", folder=tmp_path)
            assert f"{sandbox.books().completions} of {ROWS} rows settled" in settled
        else:
            assert "run it again" in said
        paid_once(started, sandbox, command, tmp_path)


def test_a_second_ctrl_c_ends_a_batch_at_once_and_the_next_run_replays_what_was_paid(tmp_path: Path) -> None:
    with service(tmp_path, latency_ms=200) as (sandbox, started):
        process = begun(started, sandbox, "complete", tmp_path)
        sandbox.change(latency_ms=20_000)
        seen = sandbox.books().completions_seen
        until(lambda: sandbox.books().completions_seen >= seen + 2, within_s=30, what="two slow calls")
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        line = next(line for line in process.stderr if line.startswith("stopping: "))
        assert "press Ctrl-C again to cancel them" in line
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
        assert (process.returncode, "run it again" in said) == (3, True), said
        sandbox.change(latency_ms=0)
        paid_once(started, sandbox, "complete", tmp_path)


def requested_or_ended(sandbox: Sandbox, process: subprocess.Popen[str], count: int) -> bool:
    return sum(sandbox.books().requests.values()) >= count or process.poll() is not None


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("command", sorted(SPECS))
def test_after_kill_9_at_any_moment_the_next_run_completes_the_work_and_nothing_is_paid_twice(
    tmp_path: Path, command: str, seed: int
) -> None:
    random_ = random.Random(f"{command} {seed}")
    with service(tmp_path, latency_ms=50, eval_s=1) as (sandbox, started):
        for _ in range(3):
            moment = sum(sandbox.books().requests.values()) + random_.randint(1, 12)
            process = run(started, command, f"{command}.yaml", folder=tmp_path)
            until(partial(requested_or_ended, sandbox, process, moment), within_s=300, what="a run that sends")
            kill(process.pid)
            process.communicate(timeout=30)
        paid_once(started, sandbox, command, tmp_path)
