"""Start and end of a command: `python -m benchmarks.start [--rows 8] [--repeat 3] [--against FOLDER]`.

Prints a Markdown table. Modes: without a server, on a standing Prefect server, and with the embedded server of
Prefect, as commands ran before. Cold: a new home of Prefect, so an embedded server creates its database; warm: the same
home again.

`--against`: a clone with a `.venv` of its own, for example of an older commit; its program runs the same batch, without
the other modes, and the ratios are those to it.
"""

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pareta_cli.background_server import start_server, stop_server
from pareta_cli.prefect_server import free_port
from pareta_sandbox.testing import Sandbox, running

PROGRAM = (str(Path(sys.executable).with_name("pareta-pipeline")), "complete")
OTHER_PROGRAM = Path(".venv/bin/pareta-pipeline")
NO_SERVER = "no server"
EMBEDDED = """
import asyncio, sys
from pathlib import Path
from prefect import Flow
from flows.complete_batch import complete_batch
from pareta_batch import Batch
from pareta_cli.specs import read_spec
asyncio.run(Flow.__call__(complete_batch, read_spec(Batch, Path(sys.argv[1]))))
"""
POLL_INTERVAL_S = 0.005
"""Seconds between two looks at the books of the sandbox: the error of the times."""


Mode = tuple[tuple[str, ...], dict[str, str]]
"""A command without its spec, and the variables that it needs besides those of all modes."""


@dataclass(frozen=True)
class Times:
    """Seconds from the start of a command to its first output, to its first request, and to its end."""

    output: float
    request: float
    after_last: float
    total: float


def measured(command: tuple[str, ...], folder: Path, environment: dict[str, str], rows: int, sandbox: Sandbox) -> Times:
    """Run a command to its end, and return its times."""
    began = time.monotonic()
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=False
    )
    assert process.stdout is not None
    ended: list[float] = []
    first: list[float] = []
    watching = threading.Thread(target=_watch_output, args=(process, first, ended))
    watching.start()
    request = last = None
    before = sandbox.books()
    while last is None:
        assert not ended or sandbox.books().completions >= before.completions + rows, "not every row was answered"
        books = sandbox.books()
        if request is None and books.completions_seen > before.completions_seen:
            request = time.monotonic()
        if last is None and books.completions >= before.completions + rows:
            last = time.monotonic()
        time.sleep(POLL_INTERVAL_S)
    watching.join()
    assert request is not None, "no request"
    return Times(first[0] - began, request - began, ended[0] - last, ended[0] - began)


def _watch_output(process: subprocess.Popen[bytes], first: list[float], ended: list[float]) -> None:
    assert process.stdout is not None
    while process.stdout.read1():  # type: ignore[attr-defined]  # a buffered reader
        first.append(time.monotonic())
    process.wait()
    ended.append(time.monotonic())


@contextmanager
def standing_server(folder: Path) -> Iterator[str]:
    """Yield the PREFECT_API_URL of a server that runs while the body does."""
    server, _ = start_server(folder, free_port(), lambda _: None)
    try:
        yield server.api_url
    finally:
        stop_server(folder)


def write_batch(folder: Path, name: str, rows: int) -> None:
    """Write a dataset and its spec."""
    with (folder / "rows.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("id", "text"), *((number, f"ticket {number}") for number in range(rows))])
    spec = f"name: {name}\nmodel: auto\ndataset: rows.csv\nid_column: id\nprompt: '{{text}}'\noutput: {name}.jsonl\n"
    (folder / "spec.yaml").write_text(spec, encoding="utf-8")


def environment_of(home: Path, sandbox: Sandbox, **more: str) -> dict[str, str]:
    """Return the environment of a command."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "PARETA_"))}
    ours = {
        "PREFECT_HOME": str(home / "prefect"),
        "PREFECT_PROFILES_PATH": str(home / "prefect" / "profiles.toml"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PARETA_API_KEY": sandbox.api_key,
        "PARETA_BASE_URL": sandbox.base_url,
        "PARETA_LEDGER_URL": f"sqlite:///{home}/ledger.db",
    }
    return kept | ours | more


@contextmanager
def modes_of(folder: Path, against: Path | None) -> Iterator[dict[str, Mode]]:
    """Yield the modes, the last one of which is the baseline of the ratios."""
    if against is not None:
        other = ((str(against / OTHER_PROGRAM), "complete"), {})
        yield {NO_SERVER: (PROGRAM, {}), f"the program in {against.name}": other}
        return
    embedded = {
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
        "PYTHONPATH": str(Path.cwd()),
    }
    with standing_server(folder / "server") as api_url:
        yield {
            NO_SERVER: (PROGRAM, {}),
            "standing server": (PROGRAM, {"PREFECT_API_URL": api_url}),
            "embedded server (before)": ((sys.executable, "-c", EMBEDDED), embedded),
        }


def measure(
    folder: Path, rows: int, repeat: int, sandbox: Sandbox, against: Path | None
) -> Iterator[tuple[str, str, Times]]:
    """Yield mode, cold or warm, and the times of every run, the modes in turn."""
    with modes_of(folder, against) as modes:
        for turn in range(repeat):
            for number, (mode, (command, more)) in enumerate(modes.items()):
                home = folder / f"home-{turn}-{number}"
                home.mkdir()
                for state in ("cold", "warm"):
                    # A name of its own: the service replays the answers of a known idempotency key.
                    write_batch(home, f"{state}-{turn}-{number}", rows)
                    environment = environment_of(home, sandbox, **more)
                    yield mode, state, measured((*command, "spec.yaml"), home, environment, rows, sandbox)


def main() -> None:
    """Print the best times of each mode, cold and warm, and the ratios to the last mode."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--against", type=_clone, metavar="FOLDER", help="clone with the program to compare with")
    options = parser.parse_args()
    best: dict[tuple[str, str], Times] = {}
    with tempfile.TemporaryDirectory() as folder, running(latency_ms=50) as sandbox:
        for mode, state, times in measure(Path(folder), options.rows, options.repeat, sandbox, options.against):
            print(f"{mode}, {state}: {times}", file=sys.stderr, flush=True)
            if (mode, state) not in best or times.request < best[mode, state].request:
                best[mode, state] = times
    print(
        "| mode | state | first output s | first request s | × faster than the last | last row to prompt s | total s |"
    )
    print("|---|---|---:|---:|---:|---:|---:|")
    baseline = list(best)[-1][0]
    for (mode, state), times in best.items():
        ratio = best[baseline, state].request / times.request
        numbers = f"{times.output:.2f} | {times.request:.2f} | {ratio:.1f} | {times.after_last:.2f} | {times.total:.2f}"
        print(f"| {mode} | {state} | {numbers} |")


def _clone(folder: str) -> Path:
    """Return the absolute path of a clone; raises argparse.ArgumentTypeError if it has no program."""
    path = Path(folder).resolve()
    if not (path / OTHER_PROGRAM).is_file():
        raise argparse.ArgumentTypeError(f"{folder!r}: no {OTHER_PROGRAM} in it; run `make install` there")
    return path


if __name__ == "__main__":
    main()
